"""The order in memory of weights, gradients and moments, which a fused step on the processor takes
for one and the same: it walks all of them as lines."""

from typing import Any

from torch import Tensor, optim

from ._probe import Probe, Stepper

FUSED = (optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad)  # that have such a step
MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "sum")


class Orders(Probe):
    """A probe event at each sampled step that pairs numbers that do not belong together."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._even: dict[tuple[int, str], list[int]] = {}

    def before_update(self, stepper: Stepper) -> None:
        """Moments that are one number all over may lie as they will: from then on each place of
        theirs belongs to the weight at that place, as long as the weight lies as it does now.
        """
        for p, key, moment in _moments(stepper):
            if _order(moment) != _order(p) and bool((moment == moment.flatten()[0]).all()):
                self._even[id(p), key] = _order(p)

    def after_update(self, stepper: Stepper, step: int) -> None:
        """Compare; emit what is wrong."""
        told = {id(p): name for p, name in zip(stepper.params, stepper.names, strict=False)}
        moved = _moved(stepper)
        grads = [told[id(p)] for p, grad in moved if _order(grad) != _order(p)]
        kept = [told[id(p)] for p, key, moment in _moments(stepper)
                if _order(moment) != _order(p) != self._even.get((id(p), key))]  # fmt: skip
        for what, names in (("gradients", grads), ("moments", kept)):
            if names:
                values = {"apart": list(dict.fromkeys(names)), "of": len(moved), "what": what}
                self.eyes.emit("probe", step, name="orders", values=values)


def _moved(stepper: Stepper) -> list[tuple[Tensor, Tensor]]:
    """Weights and gradients of a step that is PyTorch's own, fused, and on the processor."""
    optimiser: Any = stepper.optimizer
    if not isinstance(optimiser, FUSED) or not _is_own_step(optimiser):
        return []
    fused = [group.get("fused") for group in optimiser.param_groups for _ in group["params"]]
    rows = zip(stepper.params, stepper.gradients(), fused, strict=False)
    return [(p, g) for p, g, is_fused in rows if is_fused and g is not None and not g.is_sparse
            and p.device.type == "cpu" and g.shape == p.shape]  # fmt: skip


def _is_own_step(optimiser: optim.Optimizer) -> bool:
    """Whether the class has the step that PyTorch gave it."""
    return type(optimiser).step.__module__.startswith("torch.optim")


def _moments(stepper: Stepper) -> list[tuple[Tensor, str, Tensor]]:
    state = getattr(stepper.optimizer, "state", {})
    found = [(p, key, state[p].get(key)) for p, _ in _moved(stepper) if p in state
             for key in MOMENTS]  # fmt: skip
    return [(p, key, moment) for p, key, moment in found
            if isinstance(moment, Tensor) and moment.shape == p.shape]  # fmt: skip


def _order(x: Tensor) -> list[int]:
    """From one value to the next in memory, along each axis that has two."""
    return [step for size, step in zip(x.shape, x.stride(), strict=True) if size > 1]


PROBES = {"orders": Orders}
