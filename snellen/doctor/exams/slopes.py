"""Whether backward computes the slope of forward: centred differences in double precision.

Some numbers of every parameter are moved by h each way. Where h and h/8 disagree there is a kink
(ReLU, max pooling) and nothing is said; where they agree with each other and not with autograd, a
backward is wrong. A slope that autograd has and the loss has not is a straight-through estimator.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...core.seeds import untouched_rng
from ._case import Case
from ._copy import calm_copy

STEP, WRONG, AGREE = 1e-5, 1e-2, 1e-3
NUMBERS, PARAMETERS, SAMPLES = 4, 64, 8


def look(case: Case) -> dict[str, Any] | None:
    """A network with a batch -> the parameters whose gradients are not the loss's slopes."""
    live, end = case.live, time.monotonic() + case.seconds
    if live is None or live.size < 2:
        return None
    twin = calm_copy(live.net, torch.float64)
    if twin is None:
        return None
    rows = torch.arange(min(SAMPLES, live.size))
    owner = live.loss

    def loss() -> Tensor:
        torch.manual_seed(0)
        return owner(twin, rows).double()

    with untouched_rng(), torch.enable_grad():
        if not _repeats(loss):
            return None
        return _compare(twin, loss, end, live.prefix)


def _repeats(loss: Callable[[], Tensor]) -> bool:
    """A loss that differs from call to call, or is not finite, has no slope."""
    values = [loss().item() for _ in range(2)]
    return values[0] == values[1] and abs(values[0]) < float("inf")


def _compare(
    twin: nn.Module, loss: Callable[[], Tensor], end: float, prefix: str
) -> dict[str, Any] | None:
    named = [(n, p) for n, p in twin.named_parameters() if p.requires_grad and p.numel()]
    grads = torch.autograd.grad(loss(), [p for _, p in named], allow_unused=True)
    kinds = dict(twin.named_modules())
    every = [(n, p, g) for (n, p), g in zip(named, grads, strict=True) if g is not None]
    scale = max((float(g.abs().max()) for _, _, g in every), default=0.0)
    if not scale > 0:
        return None
    half = PARAMETERS // 2
    pick = every if len(every) <= PARAMETERS else every[:half] + every[-half:]
    wrong: list[dict[str, Any]] = []
    tested = kinks = 0
    with torch.no_grad():
        for name, p, g in pick:
            for i in _places(g):
                verdict = _verdict(p.view(-1) if p.is_contiguous() else p.reshape(-1), i, loss,
                                   float(g.reshape(-1)[i]), scale)  # fmt: skip
                tested, kinks = tested + 1, kinks + (verdict is None)
                if verdict and verdict["error"] > WRONG:
                    module = name.rpartition(".")[0]
                    wrong.append({"parameter": prefix + name, "module": prefix + module, "index": i,
                                  "kind": type(kinds[module]).__name__, **verdict})  # fmt: skip
            if time.monotonic() > end:
                break
    return {"wrong": wrong, "tested": tested, "kinks": kinks,
            "worst": max((w["error"] for w in wrong), default=0.0)}  # fmt: skip


def _places(g: Tensor) -> list[int]:
    """The largest slope of a parameter, and some others drawn the same each time."""
    flat = (g.to_dense() if g.is_sparse else g).abs().reshape(-1)
    draw = torch.Generator().manual_seed(flat.numel())
    some = torch.randint(0, flat.numel(), (NUMBERS - 1,), generator=draw).tolist()
    return sorted({int(flat.argmax()), *some})


def _verdict(
    flat: Tensor, i: int, loss: Callable[[], Tensor], analytic: float, scale: float
) -> dict[str, float] | None:
    """One number of a parameter -> both slopes and their relative error; None at a kink."""
    coarse, fine = (_slope(flat, i, loss, STEP / k) for k in (1, 8))
    size = max(abs(coarse), abs(fine), 1e-6 * scale, 1e-9)
    if abs(coarse - fine) > AGREE * size:
        return None
    if abs(coarse) < 1e-7 * scale or abs(analytic) < 1e-7 * scale:
        return None  # straight-through, or detached: another finding
    error = abs(analytic - coarse) / max(abs(analytic), abs(coarse))
    return {"analytic": analytic, "numeric": coarse, "error": round(error, 6)}


def _slope(flat: Tensor, i: int, loss: Callable[[], Tensor], h: float) -> float:
    before = flat[i].item()
    flat[i] = before + h
    above = loss().item()
    flat[i] = before - h
    below = loss().item()
    flat[i] = before
    return (above - below) / (2 * h)


EXAMS = {"slopes": (("full",), look)}
