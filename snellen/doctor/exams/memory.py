"""Whether the network can learn twenty samples by heart: without regularisation it must.

Karpathy's and CS231n's first check. A copy is trained by a plain Adam at three rates in turn; one
that succeeds is enough. Where the best is still falling at its end nothing is shown: Adam's steps
have one length, and weights of 4 are 200 steps of 0.02 away.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn

from ...core.patience import patience
from ...core.seeds import untouched_rng
from ._case import Case, Live
from ._copy import calm_copy

SAMPLES, STEPS = 20, 200
RATES = (3e-3, 3e-4, 2e-2)
DONE, RIGHT = 0.01, 0.95  # of the initial loss (of values: of their variance too); share right
FALLING = 0.9  # of the lowest loss three quarters through: below it more steps would learn more


def look(case: Case) -> dict[str, Any] | None:
    """A network with a batch -> the loss at the start and the lowest one of the best rate."""
    live, end = case.live, time.monotonic() + patience(case.seconds)
    if live is None or live.kind == "other" or live.size < 2:
        return None
    rows = torch.arange(min(SAMPLES, live.size))
    tries = []
    with untouched_rng(), torch.enable_grad():
        for rate in RATES:
            twin = calm_copy(live.net)
            if twin is None:
                return None
            tries.append(_learn(twin, live, rows, rate, end))
            if tries[-1]["learnt"] or time.monotonic() > end:
                break
            case.tick()
    best = next((t for t in tries if t["learnt"]), min(tries, key=lambda t: t["end"]))
    rested = len(tries) == len(RATES) and all(t["whole"] for t in tries) and not best["falls"]
    finished = best["learnt"] or rested
    return {"samples": len(rows), "kind": live.kind, "finished": finished, "tries": len(tries),
            "start": tries[0]["start"], "end": best["end"], "steps": best["steps"],
            "right": best["right"], "learnt": best["learnt"]}  # fmt: skip


def _learn(twin: nn.Module, live: Live, rows: Tensor, rate: float, end: float) -> dict[str, Any]:
    params = [p for p in twin.parameters() if p.requires_grad]
    first = [torch.zeros_like(p) for p in params]
    second = [torch.zeros_like(p) for p in params]
    start = low = late = float("nan")
    right, step = 0.0, 0
    for step in range(1, STEPS + 1):
        loss = live.loss(twin, rows)
        value = loss.item()
        start, low = (value, value) if step == 1 else (start, min(low, value))
        late = low if step == STEPS * 3 // 4 else late
        learnt = value <= DONE * max(start, live.spread)
        if live.right is not None and step % 10 == 0:
            right = live.right(twin, rows)
            learnt = learnt or right >= RIGHT
        if learnt or value != value or time.monotonic() > end:
            break
        grads = torch.autograd.grad(loss, params, allow_unused=True)
        _adam(params, grads, first, second, rate=rate, step=step)
    return {"start": start, "end": low, "right": right, "steps": step, "learnt": learnt,
            "whole": step == STEPS or value != value, "falls": low < FALLING * late}  # fmt: skip


@torch.no_grad()
def _adam(
    params: list[Any],
    grads: Any,
    first: list[Tensor],
    second: list[Tensor],
    *,
    rate: float,
    step: int,
) -> None:
    """By hand: torch's optimisers call hooks that others may have set."""
    for p, g, m, v in zip(params, grads, first, second, strict=True):
        if g is None:
            continue
        g = g.to_dense() if g.is_sparse else g
        m.lerp_(g, 0.1)
        v.lerp_(g * g, 0.001)
        size = (v / (1 - 0.999**step)).sqrt_().add_(1e-8)
        p.sub_(rate / (1 - 0.9**step) * m / size)


EXAMS = {"memory": (("full",), look)}
