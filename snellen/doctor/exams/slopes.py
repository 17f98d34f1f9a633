"""Whether backward computes the slope of forward: `sn.gradcheck`, quickly, on a batch's loss.

Four numbers of every parameter are moved, and all of it along a direction. Kinks are passed over.
A slope that autograd has and the loss has not is a straight-through estimator, and one that the
loss has and autograd has not is detached: those are other findings.
"""

import time
from typing import Any

import torch
from torch import Tensor

from ...core.patience import patience
from ...core.seeds import rng_state, seed_everything, set_rng_state, untouched_rng
from ...core.wide import has_float64
from ..slopes.compare import Comparison, Place, Seen
from ..slopes.rules import WRONG, Rules
from ..slopes.subject import Leaf, Subject
from ._case import Case
from ._copy import calm_copy

RULES = Rules(numbers=4, burn_in=0, steps=False)
PARAMETERS, SAMPLES, NONE = 64, 8, 1e-7


def look(case: Case) -> dict[str, Any] | None:
    """A network with a batch -> the parameters whose gradients are not the loss's slopes."""
    live, end = case.live, time.monotonic() + patience(case.seconds)
    if live is None or live.size < 2:
        return None
    if not all(has_float64(p.device.type) for p in live.net.parameters()):
        return None
    twin = calm_copy(live.net, torch.float64)
    if twin is None:
        return None
    rows, owner = torch.arange(min(SAMPLES, live.size)), live.loss
    leaves = [Leaf(n, p) for n, p in twin.named_parameters() if p.requires_grad and p.numel()]
    kinds = {name: type(module).__name__ for name, module in twin.named_modules()}
    with untouched_rng(), torch.enable_grad():
        seed_everything(0)
        random = rng_state()

        def loss() -> Tensor:
            set_rng_state(random)
            return owner(twin, rows).double().reshape(1)

        if not _repeats(loss().item(), loss().item()):
            return None
        return _told(Comparison(Subject(loss, _some(leaves)), RULES), end, live.prefix, kinds)


def _repeats(one: float, two: float) -> bool:
    """A loss that differs from call to call, or is not finite, has no slope."""
    return one == two and abs(one) < float("inf")


def _some(leaves: list[Leaf]) -> list[Leaf]:
    half = PARAMETERS // 2
    return leaves if len(leaves) <= PARAMETERS else leaves[:half] + leaves[-half:]


def _told(
    comparison: Comparison, end: float, prefix: str, kinds: dict[str, str]
) -> dict[str, Any] | None:
    """The wrong places, those of the parameter that the forward pass uses last at the end."""
    arrived = [seen for seen in comparison.seen if seen.arrives]
    scale = max((float(seen.grad.abs().max()) for seen in arrived), default=0.0)
    if not scale > 0:
        return None
    comparison.seen = arrived
    with torch.no_grad():  # half the time
        comparison.look(end)
    wrong: list[dict[str, Any]] = [
        {"parameter": prefix + seen.leaf.name, "module": prefix + module, "kind": kinds[module],
         "index": _flat(place, seen), "analytic": place.analytic, "numeric": place.numeric,
         "error": round(place.error, 6)}
        for seen in sorted(arrived, key=lambda seen: seen.used)
        for module in [seen.leaf.name.rpartition(".")[0]]
        for place in seen.places
        if place.error > WRONG and min(abs(place.analytic), abs(place.numeric)) > NONE * scale
    ]  # fmt: skip
    return {"wrong": wrong, "worst": max((w["error"] for w in wrong), default=0.0),
            "tested": sum(seen.tried for seen in arrived),
            "kinks": sum(sum(seen.passed.values()) for seen in arrived)}  # fmt: skip


def _flat(place: Place, seen: Seen) -> int:
    """The number of a place, counted along the last axis first."""
    flat = 0
    for at, size in zip(place.index, seen.grad.shape, strict=True):
        flat = flat * size + at
    return flat


EXAMS = {"slopes": (("full",), look)}
