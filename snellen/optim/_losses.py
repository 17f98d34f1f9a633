"""What the searches of one tensor ask of the loss they are given, and of the place they start."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.errors import UsageError

Loss = Callable[[Tensor], Tensor]


def one_number(value: Tensor | float) -> Tensor:
    """The loss at x, () or (1,) -> the same; UsageError where it is not one number.

    >>> one_number(2.5)
    tensor(2.5000)
    """
    value = torch.as_tensor(value)
    if value.numel() != 1:
        raise UsageError(
            f"a loss of shape {tuple(value.shape)}; one number that depends on x is wanted: "
            "take its sum or mean"
        )
    return value


def check_start(start: Tensor) -> None:
    """A tensor of floats, else UsageError."""
    if not isinstance(start, Tensor) or not start.is_floating_point():
        kind = start.dtype if isinstance(start, Tensor) else type(start).__name__
        raise UsageError(f"start is of {kind}; a tensor of floats is wanted, as start.double()")
