"""Ways down without backpropagation, as notes 003 lead up to it: each better than the last.

Random points, keep the best; random steps, keep what goes down; follow the slope, measured by
finite differences. All take the loss as a function of one tensor.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_naturals, check_positive, check_rates
from ..core.parts import Part
from ._losses import Loss, check_start, one_number

PARTS = {
    "Random search": Part("Optimisers", "sn.optim.random_search", "random points, keep the best",
                          "003"),
    "Random local search": Part(
        "Optimisers", "sn.optim.random_local_search", "a random step, kept where the loss is lower",
        "003",
    ),
    "Follow the numerical gradient": Part(
        "Optimisers", "sn.optim.follow_numerical_gradient, sn.optim.numerical_gradient",
        "descend along (f(x+h) - f(x-h)) / 2h: two evaluations a number",
        "003",
    ),
}  # fmt: skip


class Walk(NamedTuple):
    """Where a search ended, and its loss after each step, the start first."""

    x: Tensor
    losses: list[float]


@torch.no_grad()
def random_search(loss: Loss, draw: Callable[[], Tensor], num_tries: int) -> Walk:
    """loss of x, a function that draws an x -> the best of `num_tries` and the best loss so far.

    Raises UsageError where no try has a finite loss, and for fewer than one try.

    >>> _ = torch.manual_seed(0)
    >>> walk = random_search(lambda x: x.square().sum(), lambda: torch.randn(2), 50)
    >>> walk.losses[-1] == min(walk.losses) == float(walk.x.square().sum())
    True
    """
    check_counts(num_tries=num_tries)
    best, least, losses = draw(), float("inf"), []
    for n in range(num_tries):
        x = best if n == 0 else draw()
        value = float(one_number(loss(x)))
        if value < least:
            best, least = x, value
        losses.append(least)
    if math.isinf(least):
        raise UsageError(f"none of {num_tries} tries has a finite loss; the loss or draw is wrong")
    return Walk(best, losses)


@torch.no_grad()
def random_local_search(loss: Loss, start: Tensor, num_steps: int, *, step: float) -> Walk:
    """loss of x, start x -> x after steps of `step` * N(0, 1) that are kept where they go down.

    Raises UsageError where the loss at the start is not a number.

    >>> walk = random_local_search(lambda x: x.square().sum(), torch.ones(2), 50, step=0.1)
    >>> walk.losses == sorted(walk.losses, reverse=True)
    True
    """
    check_start(start)
    check_rates(step=step)
    check_naturals(num_steps=num_steps)
    x, least = start, float(one_number(loss(start)))
    if math.isnan(least):
        raise UsageError("the loss at the start is not a number; no step could be lower")
    losses = [least]
    for _ in range(num_steps):
        there = x + step * torch.randn_like(x)
        value = float(one_number(loss(there)))
        if value < least:
            x, least = there, value
        losses.append(least)
    return Walk(x, losses)


@torch.no_grad()
def follow_numerical_gradient(
    loss: Loss, start: Tensor, num_steps: int, *, lr: float, h: float = 1e-5
) -> Walk:
    """loss of x (float64 is wanted), start x -> x after x -= lr * numerical gradient.

    Raises UsageError where x is not float64, as `numerical_gradient` does.

    >>> start = torch.tensor([1.0, -1.0], dtype=torch.float64)
    >>> follow_numerical_gradient(lambda x: x.square().sum(), start, 1, lr=0.25).x.round(decimals=6)
    tensor([ 0.5000, -0.5000], dtype=torch.float64)
    """
    check_rates(lr=lr)
    check_naturals(num_steps=num_steps)
    x, losses = start, [float(one_number(loss(start)))]
    for _ in range(num_steps):
        x = x - lr * numerical_gradient(loss, x, h)
        losses.append(float(loss(x)))
    return Walk(x, losses)


@torch.no_grad()
def numerical_gradient(loss: Loss, x: Tensor, h: float = 1e-5) -> Tensor:
    """loss of x, x -> (f(x+h) - f(x-h)) / 2h for each number of x.

    Raises UsageError below float64, for a loss that is not one number and for an h of 0 or less.

    >>> numerical_gradient(lambda x: x.pow(3).sum(), torch.tensor([2.0], dtype=torch.float64))
    tensor([12.0000], dtype=torch.float64)
    """
    if x.dtype != torch.float64:
        raise UsageError(f"x of {x.dtype}: a difference of {h:g} is lost in it; use x.double()")
    check_positive(h=h)
    gradient = x.new_empty(x.numel())
    for i in range(x.numel()):
        step = x.new_zeros(x.numel())
        step[i] = h
        step = step.view(x.shape)
        gradient[i] = (one_number(loss(x + step)) - one_number(loss(x - step))) / (2 * h)
    return gradient.view(x.shape)
