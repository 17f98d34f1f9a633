"""Quasi-Newton by L-BFGS (notes 003; Nocedal and Wright, algorithms 7.4 and 7.5), to the lowest
point along each way.

The last steps and what the gradient changed over them stand for the inverse Hessian. Each length is
searched by the secant of the slope, which on a quadratic finds it at once: n + 1 steps solve one of
n axes, where `history` holds as many (with fewer, rounding costs more steps). torch.optim.LBFGS
takes lengths that are good enough, and more steps.
"""

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_naturals
from ..core.parts import Part
from ._losses import Loss, check_start, one_number

PARTS = {
    "L-BFGS": Part(
        "Optimisers", "sn.optim.quasi_newton, torch.optim.LBFGS",
        "the inverse Hessian out of the last gradients, for the loss of all data; here to the "
        "lowest point of each way: a quadratic of n axes in n + 1 steps, with a history of n",
        "003",
    ),
}  # fmt: skip
FLAT = 1e-3  # of the slope at the start of a way: so flat is its lowest point
TRIES, FURTHER = 60, 10.0  # lengths tried along a way; how many times longer the next at most


class Place(NamedTuple):
    """A point with its loss and gradient."""

    x: Tensor
    value: float
    gradient: Tensor


def quasi_newton(loss: Loss, start: Tensor, num_steps: int = 100, *, history: int = 100) -> Tensor:
    """loss of x, start x (any shape) -> x after at most `num_steps` steps of L-BFGS.

    It ends early where nothing falls any more. Raises UsageError where x is not of floats, and
    where the loss is not one number of x, is not finite at the start, or falls without end.

    >>> start = torch.tensor([7.0, 7.0])
    >>> quasi_newton(lambda x: (x[0] - 1) ** 2 + 5 * (x[1] + 2) ** 2, start, 3).round(decimals=3)
    tensor([ 1., -2.])
    """
    check_start(start)
    check_counts(history=history)
    check_naturals(num_steps=num_steps)
    here = _look(loss, start.detach().clone())
    if not math.isfinite(here.value):
        raise UsageError(f"the loss is {here.value} at the start; a finite one is wanted")
    pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=history)
    for _ in range(num_steps):
        way = -_times_inverse(here.gradient, pairs)
        first = 1.0 if pairs else 1.0 / max(1.0, float(here.gradient.norm()))
        there = _lowest(loss, here, way, first)
        if there is None:
            break
        step, change = there.x - here.x, there.gradient - here.gradient
        if _dot(step, change) > 0:
            pairs.append((step, change))
        here = there
    return here.x


def _look(loss: Loss, x: Tensor) -> Place:
    with torch.enable_grad():
        x = x.requires_grad_()
        value = one_number(loss(x))
        if not value.requires_grad:
            raise UsageError("the loss has no gradient; one number that depends on x is wanted")
        (gradient,) = torch.autograd.grad(value, x)
    return Place(x.detach(), value.item(), gradient)


def _times_inverse(gradient: Tensor, pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The inverse Hessian that the pairs tell of, times the gradient: the two loops."""
    q, kept = gradient, []
    for step, change in reversed(list(pairs)):
        share = _dot(step, q) / _dot(step, change)
        kept.append((share, step, change))
        q = q - share * change
    if kept:
        _, step, change = kept[0]  # the last pair says how long a step is at all
        q = q * (_dot(step, change) / _dot(change, change))
    for share, step, change in reversed(kept):
        q = q + (share - _dot(change, q) / _dot(step, change)) * step
    return q


def _lowest(loss: Loss, start: Place, way: Tensor, length: float) -> Place | None:
    """The lowest point along a way; None where the loss does not fall along it."""
    slope = _dot(start.gradient, way)
    if not slope < 0:
        return None
    near, far, best = (0.0, slope), (math.inf, math.nan), None
    for tried in range(TRIES):
        place = _look(loss, start.x + length * way)
        here = _dot(place.gradient, way)
        if place.value == -math.inf:
            break
        falls = math.isfinite(place.value) and place.value <= start.value
        if falls and (best is None or place.value <= best.value):
            best = place
        if tried and falls and abs(here) <= FLAT * -slope:
            return place
        if falls and here < 0:
            near = (length, here)
        else:
            far = (length, here if falls and math.isfinite(here) else math.nan)
        length = _between(near, far, halve=tried % 3 == 2)
        if length in (near[0], far[0]):
            break
    if math.isinf(far[0]) or place.value == -math.inf:
        raise UsageError("the loss falls without end along a way; is its sign right?")
    return best


def _between(near: tuple[float, float], far: tuple[float, float], *, halve: bool) -> float:
    """The next length: where the secant of both slopes is 0, or in the middle."""
    (low, falling), (high, rising) = near, far
    if math.isinf(high):
        return FURTHER * low
    if math.isnan(rising) or halve:
        return low + (high - low) / (2 if halve else FURTHER)
    return low + (high - low) * falling / (falling - rising)


def _dot(one: Tensor, other: Tensor) -> float:
    return float((one * other).sum())
