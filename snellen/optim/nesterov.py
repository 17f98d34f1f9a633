"""Nesterov's momentum in its two forms (notes 003): the gradient where the momentum leads to.

Look-ahead: v = rho v - lr grad(x + rho v), x = x + v. It wants a gradient where the weights are
not. With x~ = x + rho v in place of x it is: v' = rho v - lr grad(x~), x~ = x~ - rho v +
(1 + rho) v'. The points x~ of both are the same, and torch.optim.SGD(nesterov=True) walks them.
(The notes' second line lacks the lr.)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.numbers import check_decays, check_naturals, check_rates
from ..core.parts import Part

PARTS = {
    "Nesterov momentum": Part(
        "Optimisers", "torch.optim.SGD, sn.optim.look_ahead, sn.optim.substituted",
        "gradient at x + rho v; SGD(nesterov=True) is the substituted form; optim=nesterov",
        "003",
    ),
}  # fmt: skip
Gradient = Callable[[Tensor], Tensor]


def look_ahead(
    gradient: Gradient, start: Tensor, num_steps: int, *, lr: float, momentum: float
) -> Tensor:
    """gradient of x, start x -> the points x~ = x + momentum * v, (num_steps + 1, *x.shape).

    Raises UsageError for an lr below 0 or a momentum outside [0, 1), and where either is no number.

    >>> look_ahead(lambda x: x, torch.ones(1), 2, lr=0.1, momentum=0.5)[:, 0]
    tensor([1.0000, 0.8500, 0.6975])
    """
    check_rates(lr=lr)
    check_decays(momentum=momentum)
    check_naturals(num_steps=num_steps)
    x, v = start, torch.zeros_like(start)
    points = [x]
    for _ in range(num_steps):
        v = momentum * v - lr * gradient(x + momentum * v)
        x = x + v
        points.append(x + momentum * v)
    return torch.stack(points)


def substituted(
    gradient: Gradient, start: Tensor, num_steps: int, *, lr: float, momentum: float
) -> Tensor:
    """gradient of x~, start x~ -> the points x~, (num_steps + 1, *x.shape), without looking ahead.

    >>> substituted(lambda x: x, torch.ones(1), 2, lr=0.1, momentum=0.5)[:, 0]
    tensor([1.0000, 0.8500, 0.6975])
    """
    check_rates(lr=lr)
    check_decays(momentum=momentum)
    check_naturals(num_steps=num_steps)
    x, v = start, torch.zeros_like(start)
    points = [x]
    for _ in range(num_steps):
        before, v = v, momentum * v - lr * gradient(x)
        x = x - momentum * before + (1 + momentum) * v
        points.append(x)
    return torch.stack(points)
