"""The fixed facts of a training: sizes, optimisers, norm layers, device, loss."""

from typing import Any

from torch import Tensor

from ..loader import length_of
from ..patient import NORMS, is_lazy
from ._probe import Feed, Probe, Stepper
from .params import parameter_facts

CLASS = ("cross_entropy", "nll_loss", "multi_margin_loss", "binary_cross_entropy_with_logits",
         "binary_cross_entropy")  # fmt: skip


class Facts(Probe):
    """One facts event at the first backward pass, another after the first step."""

    _seen, _stepped = 0, -1

    def forward(self, feed: Feed, full: bool) -> None:
        """Whether the weights have seen data before: asked before the first step."""
        if self._seen != len(self.eyes.patients):
            self._seen = len(self.eyes.patients)
            self.eyes.emit("facts", feed.step, values=network_facts(self.eyes))

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """What the loader and the loss say, while the first steps last."""
        if feed.step > 2:
            return
        values: dict[str, Any] = {} if loss.requires_grad else {"loss_without_graph": True}
        record, call = feed.record, self.eyes.template
        if record is not None:
            known = {
                "batch_size": record.batch_size,
                "steps_per_epoch": record.num_batches,
                "num_samples": length_of(record.dataset),
            }
            values |= {name: value for name, value in known.items() if value}
        if call is not None:
            values["loss_fn"] = call.function
            values["targets"] = "class" if call.function in CLASS else "value"
            logits = call.function in ("cross_entropy", "nll_loss") and call.input_tail
            if logits and not self.eyes.chart.facts.get("classes"):
                values["classes"] = call.input_tail[0]
        if values:
            self.eyes.emit("facts", feed.step, values=values)

    def after_update(self, stepper: Stepper, step: int) -> None:
        """The optimisers, and the parameters that none of them holds."""
        if self._stepped == len(self.eyes.steppers):
            return
        self._stepped = len(self.eyes.steppers)
        values = {"optimizers": [optimizer_facts(s.optimizer) for s in self.eyes.steppers.values()],
                  "num_optimizers": self._stepped}  # fmt: skip
        self.eyes.emit("facts", step, values=values)
        params = {patient.prefix + name: p for patient in self.eyes.patients
                  for name, p in patient.inner.named_parameters()}  # fmt: skip
        for name, facts in parameter_facts(self.eyes).items():
            if not facts["in_optimizer"]:
                grad = params[name].grad
                values = {"facts": facts, "grad_none": grad is None}
                if grad is not None and not grad.is_sparse:
                    values["grad_norm"] = float(grad.detach().norm())
                self.eyes.emit("param", step, name=name, values=values)


def network_facts(eyes: Any) -> dict[str, Any]:
    """The networks -> num_params, has_norm, device, and pretrained where that shows."""
    params = [p for patient in eyes.patients for p in patient.inner.parameters()
              if not is_lazy(p)]  # fmt: skip
    norms = [m for patient in eyes.patients for m in patient.inner.modules()
             if isinstance(m, NORMS)]  # fmt: skip
    values: dict[str, Any] = {
        "num_params": sum(p.numel() for p in params), "has_norm": bool(norms),
        "device": str(params[0].device) if params else "cpu",
        "compiled": any(patient.compiled for patient in eyes.patients),
    }  # fmt: skip
    values |= {"tensors": len(params), "frozen": sum(not p.requires_grad for p in params)}
    seen = [getattr(m, "num_batches_tracked", None) for m in norms]
    if any(n is not None and int(n) > 1 for n in seen):
        values["pretrained"] = True
    return values


def optimizer_facts(optimizer: Any) -> dict[str, Any]:
    """An optimiser -> its name and the settings of its first group."""
    group = optimizer.param_groups[0]
    momentum = group.get("momentum", group.get("betas", (0.0,))[0])
    return {"name": type(optimizer).__name__, "lr": float(group.get("lr", 0.0)),
            "momentum": float(momentum), "weight_decay": float(group.get("weight_decay", 0.0)),
            "groups": len(optimizer.param_groups)}  # fmt: skip


PROBES = {"facts": Facts}
