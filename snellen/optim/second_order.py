"""Newton's method (notes 003): a step by slope and curvature.

It has no learning rate and lands on the minimum of a quadratic at once. Its Hessian has n^2
numbers, so it is for n in the hundreds, and it wants the loss of all data, not a mini-batch's.
"""

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_naturals
from ..core.parts import Part
from ._losses import Loss, check_start, one_number

PARTS = {
    "Newton's method": Part(
        "Optimisers", "sn.optim.newton", "x -= H^-1 g: a quadratic in one step", "003"
    ),
}


def newton(loss: Loss, start: Tensor, num_steps: int = 1) -> Tensor:
    """loss of x, start x (any shape) -> x after Newton's steps x -= H^-1 g.

    It goes to the nearest point where the gradient is zero, be that a minimum or a saddle. Raises
    UsageError where x is not of floats, the loss is not one finite number, or the Hessian has no
    inverse.

    >>> newton(lambda x: (x[0] - 1) ** 2 + 5 * (x[1] + 2) ** 2, torch.tensor([7.0, 7.0]))
    tensor([ 1., -2.])
    """
    check_start(start)
    check_naturals(num_steps=num_steps)
    x = start.detach()
    for step in range(num_steps):
        if not one_number(value := loss(x)).isfinite():
            raise UsageError(
                f"the loss at step {step + 1} is {float(value)}; a finite one is wanted"
            )
        gradient = torch.autograd.functional.jacobian(loss, x).flatten()
        hessian = torch.autograd.functional.hessian(loss, x).reshape(len(gradient), -1)
        try:
            move = torch.linalg.solve(hessian, gradient)
        except torch.linalg.LinAlgError:
            raise UsageError(
                f"the Hessian at step {step + 1} has no inverse: the loss is flat along a "
                "direction; add a little L2"
            ) from None
        x = x - move.view_as(x)
    return x
