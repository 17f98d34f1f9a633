"""What the recurrent cells share: how they start, and the state before the first step."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError


@torch.no_grad()
def start_uniform(cell: nn.Module, hidden_size: int) -> None:
    """Every parameter uniform in +-1 / sqrt(hidden_size), as torch.nn's cells start."""
    bound = hidden_size**-0.5
    for parameter in cell.parameters():
        parameter.uniform_(-bound, bound)


def check_sizes(input_size: int, hidden_size: int) -> None:
    """Whole numbers of inputs (0 or more) and of units (1 or more), else UsageError."""
    if input_size < 0 or hidden_size < 1:
        raise UsageError(
            f"a cell of {input_size} inputs and {hidden_size} units; one unit or more is wanted"
        )


def states(x: Tensor, given: Any, cell: nn.Module, count: int) -> tuple[Tensor, ...]:
    """x_BI or x_I, the states that were given -> them, or `count` of zeros: (B, H) or (H,).

    Raises UsageError where shapes do not fit: a state of one row would else serve every row.
    """
    inputs, units = int(cell.input_size), int(cell.hidden_size)  # type: ignore[arg-type]
    if x.ndim not in (1, 2) or x.shape[-1] != inputs:
        raise UsageError(f"x of shape {tuple(x.shape)}; (batch, {inputs}) or ({inputs},) is wanted")
    wanted = (*x.shape[:-1], units)
    if given is None:
        return tuple(x.new_zeros(wanted) for _ in range(count))
    if not isinstance(given, tuple) or [isinstance(s, Tensor) for s in given] != [True] * count:
        names = "h" if count == 1 else "(h, c)"
        raise UsageError(f"a state that is a {type(given).__name__}; {names} is wanted, as tensors")
    for state in given:
        if state.shape != wanted:
            raise UsageError(
                f"a state of shape {tuple(state.shape)} for x of shape {tuple(x.shape)}; "
                f"{wanted} is wanted"
            )
    return given
