"""Newton's method (notes 003): a step by slope and curvature.

It has no learning rate and lands on the minimum of a quadratic at once. Its Hessian has n^2
numbers, so it is for n in the hundreds, and it wants the loss of all data, not a mini-batch's.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Newton's method": Part(
        "Optimisers", "sn.optim.newton", "x -= H^-1 g: a quadratic in one step", "003"
    ),
}
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
