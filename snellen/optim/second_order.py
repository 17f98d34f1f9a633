"""Second-order steps (notes 003): Newton's, and L-BFGS, which learns the curvature on its way.

Newton's step has no learning rate and lands on the minimum of a quadratic at once; its Hessian has
n^2 numbers, so it is for n in the hundreds. L-BFGS keeps the last gradients only. Both want the
loss of all data: they do not suit mini-batches.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Newton's method": Part(
        "Optimisers", "sn.optim.newton", "x -= H^-1 g: a quadratic in one step", "003"
    ),
    "L-BFGS": Part(
        "Optimisers", "torch.optim.LBFGS, sn.optim.quasi_newton",
        "the inverse Hessian out of the last gradients; whole batches, a closure a step",
        "003",
    ),
}  # fmt: skip
Loss = Callable[[Tensor], Tensor]


def newton(loss: Loss, start: Tensor, num_steps: int = 1) -> Tensor:
    """loss of x, start x (any shape) -> x after Newton's steps x -= H^-1 g.

    It goes to the nearest point where the gradient is zero, be that a minimum or a saddle. Raises
    UsageError where the Hessian has no inverse.

    >>> newton(lambda x: (x[0] - 1) ** 2 + 5 * (x[1] + 2) ** 2, torch.tensor([7.0, 7.0]))
    tensor([ 1., -2.])
    """
    x = start
    for step in range(num_steps):
        gradient = torch.autograd.functional.jacobian(loss, x).flatten()
        hessian = torch.autograd.functional.hessian(loss, x).view(len(gradient), -1)
        try:
            move = torch.linalg.solve(hessian, gradient)
        except torch.linalg.LinAlgError:
            raise UsageError(
                f"the Hessian at step {step + 1} has no inverse: the loss is flat along a "
                "direction; add a little L2"
            ) from None
        x = x - move.view_as(x)
    return x


def quasi_newton(loss: Loss, start: Tensor, num_steps: int = 100, *, history: int = 10) -> Tensor:
    """loss of x, start x (any shape) -> x after at most `num_steps` iterations of torch's L-BFGS.

    A line search (strong Wolfe) finds each step's length; it ends early where nothing moves. Only
    with exact steps would a quadratic of n axes be solved in n + 1 of them; here it takes more.

    >>> start = torch.tensor([7.0, 7.0])
    >>> quasi_newton(lambda x: (x[0] - 1) ** 2 + 5 * (x[1] + 2) ** 2, start).round(decimals=3)
    tensor([ 1., -2.])
    """
    first = float(loss(start.detach()))
    if not math.isfinite(first):
        raise UsageError(f"the loss is {first} at the start; a finite one is wanted")
    x = start.detach().clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x], max_iter=num_steps, max_eval=20 * num_steps, history_size=history,
        tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        return value

    optimizer.step(closure)
    if not x.detach().isfinite().all():
        raise UsageError("the walk left the finite numbers; look at the loss where it starts")
    return x.detach()
