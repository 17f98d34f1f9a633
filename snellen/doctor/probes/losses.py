"""What a loss function received: shapes, ranges, what its rows sum to, and what it answered."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..calls import CLASS_LOSSES, LOSSES
from ..labels import IGNORED
from ..reach import told
from ._measure import farthest, summary, target_facts
from ._probe import Feed, Probe

SHOWN = 16  # rows of a batch that a loss refused
KINDS = 50  # labels that are told apart
NEAR = 16  # steps before the loss in which lengths are divided out
UNIT = ("LinalgVectorNorm", "NormBackward", "AcosBackward", "CosineSimilarity")
PER_STEP = 4  # loss calls of one step that are recorded


@dataclass(frozen=True)
class LossCall:
    """How a loss was called, so that a replay can call it again for each sample."""

    function: str
    more: dict[str, Any]  # its other arguments: weight, label_smoothing ...; no reduction
    input_tail: tuple[int, ...]
    target_tail: tuple[int, ...]
    target_dtype: torch.dtype


class Losses(Probe):
    """A loss_call event for each call in a sampled step."""

    _count = 0

    def forward(self, feed: Feed, full: bool) -> None:
        """A new step: count anew."""
        self._count = 0

    def called(self, name: str, args: Any, kwargs: Any, result: Any, error: Any) -> None:
        """Measure a call that trains, before its backward pass."""
        if name not in LOSSES or not torch.is_grad_enabled() or self._count >= PER_STEP:
            return
        call = arguments(args, kwargs)
        if call is None:
            return
        x, target, more = call
        self._count += 1
        reduction = kwargs.get("reduction", "mean")
        values = call_values(name, x, target, more, result=result, error=error, reduction=reduction)
        heavy = [*args[2:3], more.get("weight"), more.get("pos_weight")]
        values["weighted"] = any(isinstance(w, Tensor) for w in heavy)
        values["cosines"] = is_cosine(x)
        values["target_counts"] = counted(target)
        pair = (target, x) if x.grad_fn is None else (x, target)  # the user's order is free
        values |= told(*pair) | farthest(pair[1])
        self.eyes.emit("loss_call", self.eyes.step, values=values)
        if error is None:
            more = {k: v.detach() if isinstance(v, Tensor) else v for k, v in more.items()}
            self.eyes.template = LossCall(
                name, more, tuple(x.shape[1:]), tuple(target.shape[1:]), target.dtype
            )


def arguments(args: Any, kwargs: Any) -> tuple[Tensor, Tensor, dict[str, Any]] | None:
    """A call's arguments -> input, target and the named rest; None where they are not tensors."""
    rest = dict(kwargs)
    x = args[0] if args else rest.pop("input", None)
    target = args[1] if len(args) > 1 else rest.pop("target", None)
    for name in ("reduction", "size_average", "reduce", "input", "target"):
        rest.pop(name, None)
    if not isinstance(x, Tensor) or not isinstance(target, Tensor):
        return None
    return x, target, rest


def call_values(
    name: str,
    x: Tensor,
    target: Tensor,
    more: dict[str, Any],
    *,
    result: Any,
    error: Any,
    reduction: str = "mean",
) -> dict[str, Any]:
    """One call -> the values of its event."""
    x = x.detach()
    values: dict[str, Any] = {
        "function": name, "input_shape": list(x.shape), "reduction": reduction,
        "input_dtype": str(x.dtype).removeprefix("torch."), **target_facts(target),
    }  # fmt: skip
    moments = summary(x)
    values |= {f"input_{k}": moments[k] for k in ("min", "max") if k in moments}
    if x.dim() > 1 and x.numel():
        sums = x.float().sum(1)
        values |= {"row_sum_min": sums.min().item(), "row_sum_max": sums.max().item()}
    if name in CLASS_LOSSES and x.dim():
        values["classes"] = x.shape[1] if x.dim() > 1 else x.shape[0]
        if isinstance(more.get("ignore_index", -100), int):
            values |= _range_without(target, more.get("ignore_index", -100))
    if isinstance(result, Tensor) and result.numel():
        values["value"] = result.detach().float().mean().item()
    if error is not None:
        values["error"] = f"{type(error).__name__}: {error}"[:300]
        ignored = more.get("ignore_index", IGNORED)
        values |= {"ignore_index": ignored, "outside": _outside(target, values.get("classes"),
                                                                ignored)}  # fmt: skip
    return values


def counted(target: Tensor) -> dict[str, int]:
    """One label a sample, or one answer of 0 or 1 -> how often each occurs; {} for others.

    >>> counted(torch.tensor([[0.0], [1.0], [0.0]]))
    {'0': 2, '1': 1}
    """
    y = target.detach()
    if y.numel() != y.shape[:1].numel() or not y.dim() or y.is_complex():
        return {}
    if y.is_floating_point() and not bool(((y == 0) | (y == 1)).all()):
        return {}
    kinds, counts = y.flatten().long().unique(return_counts=True)
    pairs = zip(kinds.tolist(), counts.tolist(), strict=True)
    return {str(k): n for k, n in pairs} if len(kinds) <= KINDS else {}


def is_cosine(x: Tensor) -> bool:
    """Whether scores were made of vectors of unit length, seen in the last steps to them.

    >>> w = torch.ones(2, 2, requires_grad=True); import torch.nn.functional as F
    >>> is_cosine(30 * F.normalize(w) @ F.normalize(w).T), is_cosine(w @ w)
    (True, False)
    """
    nodes = [x.grad_fn]
    for _ in range(NEAR):
        if any(node is not None and node.name().startswith(UNIT) for node in nodes):
            return True
        nodes = [after for node in nodes if node is not None for after, _ in node.next_functions]
        nodes = list(dict.fromkeys(nodes))[:NEAR]
    return False


def _outside(target: Tensor, classes: int | None, ignored: int) -> dict[str, int]:
    """Row of the batch -> its label, where no output answers for it; at most SHOWN."""
    if not classes or target.dim() != 1 or target.is_floating_point():
        return {}
    wrong = (target != ignored) & ((target < 0) | (target >= classes))
    rows = wrong.nonzero()[:SHOWN, 0].tolist()
    return {str(row): int(target[row]) for row in rows}


def _range_without(target: Tensor, ignored: int) -> dict[str, Any]:
    """The range of class targets without the one that the loss passes over."""
    if target.is_floating_point():
        return {}
    kept = target[target != ignored]
    return {"target_min": kept.min().item(), "target_max": kept.max().item()} if len(kept) else {}


PROBES = {"losses": Losses}
