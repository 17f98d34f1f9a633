"""What the optimiser did to each parameter: norms of weight, gradient and update, and whether it
changed at all. Fused over all parameters: a loop over them would cost ten times as much."""

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from ..patient import NORMS, is_lazy
from ._probe import Probe, Stepper

LARGEST = 200_000_000  # values copied for the update's norm; larger networks go without
HEAD = 1 << 16  # values of a gradient whose mean size is taken
IDENTICAL = 8  # sampled steps in which rows are compared


class Params(Probe):
    """A param event for each parameter of an optimiser at a sampled step."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._before: dict[int, list[Tensor]] = {}
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._known: set[str] = set()
        self._compared = 0

    def before_update(self, stepper: Stepper) -> None:
        """Copy the weights; a closure's gradients come later."""
        params = [p.detach() for p in stepper.params]
        if sum(p.numel() for p in params) <= LARGEST:
            self._before[stepper.index] = list(torch._foreach_mul(params, 1)) if params else []

    def after_update(self, stepper: Stepper, step: int) -> None:
        """Measure weights, gradients and updates; emit."""
        params = [p.detach() for p in stepper.params]
        rows: list[dict[str, Any]] = [{} for _ in params]
        self._gradients(stepper, rows)
        before = self._before.pop(stepper.index, None)
        if before:
            _updates(params, before, rows)
        else:
            _weights(_norms(params, 2), rows)
        self._identical(stepper, rows)
        lrs = [g.get("lr") for g in stepper.optimizer.param_groups for _ in g["params"]]
        facts = self._facts(stepper) if step == 0 or stepper.names[0] not in self._known else {}
        for name, row, lr in zip(stepper.names, rows, lrs, strict=False):
            if lr is not None:
                row["lr"] = float(lr)
            if name in facts:
                row["facts"] = facts[name]
                self._known.add(name)
            self.eyes.emit("param", step, name=name, values=row)

    def close(self) -> None:
        """Forget the copies."""
        self._before.clear()

    def _gradients(self, stepper: Stepper, rows: list[dict[str, Any]]) -> None:
        grads = stepper.gradients()
        for row, grad in zip(rows, grads, strict=True):
            row["grad_none"] = grad is None
        some = [
            (row, g.detach().coalesce().values() if g.is_sparse else g.detach())
            for row, g in zip(rows, grads, strict=True)
            if g is not None
        ]
        norms = _norms([g for _, g in some], 2)
        heads = [g.flatten()[:HEAD] if g.is_contiguous() else g for _, g in some]
        sums = _norms(heads, 1)
        for (row, _), head, norm, total in zip(some, heads, norms, sums, strict=True):
            row |= {"grad_norm": norm, "grad_mean_abs": total / max(1, head.numel())}

    def _identical(self, stepper: Stepper, rows: list[dict[str, Any]]) -> None:
        if self._compared >= IDENTICAL:
            return
        self._compared += stepper.index == 0
        for row, p, grad in zip(rows, stepper.params, stepper.gradients(), strict=True):
            if p.dim() > 1 and len(p) > 1:
                row["rows_identical"] = _same_rows(p.detach())
                if grad is not None and not grad.is_sparse:
                    row["grad_rows_identical"] = _same_rows(grad.detach())

    def _facts(self, stepper: Stepper) -> dict[str, dict[str, Any]]:
        own, mine = set(stepper.names), {"optimizer": stepper.index}
        return {name: facts | mine for name, facts in parameter_facts(self.eyes).items()
                if name in own}  # fmt: skip


def parameter_facts(eyes: Any) -> dict[str, dict[str, Any]]:
    """Name of every parameter of every network -> its fixed facts."""
    held = {id(p) for s in eyes.steppers.values() for p in s.params}
    found: dict[str, dict[str, Any]] = {}
    mine = [{id(p) for p in patient.inner.parameters()} for patient in eyes.patients]
    strange = not any(held & own for own in mine)  # the optimiser was built over another network
    for patient, own in zip(eyes.patients, mine, strict=True):
        if patient.adopted and not held & own and not strange:
            continue  # a teacher, a perceptual loss: the script only looks through it
        owners = {patient.prefix + (f"{n}." if n else "") + key: module
                  for n, module in patient.inner.named_modules()
                  for key, p in module._parameters.items() if p is not None}  # fmt: skip
        for name, p in patient.inner.named_parameters():
            module = owners.get(patient.prefix + name)
            if is_lazy(p):
                continue
            found[patient.prefix + name] = {
                "shape": list(p.shape), "numel": p.numel(), "requires_grad": p.requires_grad,
                "module": (patient.prefix + name).rpartition(".")[0],
                "kind": type(module).__name__, "in_optimizer": id(p) in held,
                "is_bias": "bias" in name.rpartition(".")[2], "is_norm": isinstance(module, NORMS),
            }  # fmt: skip
    return found


def _norms(tensors: list[Tensor], order: float) -> list[float]:
    """The norms of tensors as floats, read in one go."""
    if not tensors:
        return []
    small = [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors]
    norms = torch._foreach_norm(small, order)
    kind = reduce(torch.promote_types, (n.dtype for n in norms))
    return torch.stack([n.to(norms[0].device, kind) for n in norms]).tolist()


def _weights(norms: list[float], rows: list[dict[str, Any]]) -> None:
    for row, norm in zip(rows, norms, strict=True):
        row["weight_norm"] = norm


def _updates(params: list[Tensor], before: list[Tensor], rows: list[dict[str, Any]]) -> None:
    """The weight's norm before, update_norm, their ratio, and whether a single bit changed."""
    _weights(_norms(before, 2), rows)
    delta = list(torch._foreach_sub(params, before))
    for row, norm, d in zip(rows, _norms(delta, 2), delta, strict=True):
        # The square of a tiny change is zero: only the values themselves tell.
        row |= {"update_norm": norm, "changed": norm != 0 or bool(d.any())}
        if row["weight_norm"] > 0:
            row["update_ratio"] = norm / row["weight_norm"]


def _same_rows(w: Tensor) -> bool:
    return bool((w[1] == w[0]).all()) and bool((w == w[:1]).all())


PROBES = {"params": Params}
