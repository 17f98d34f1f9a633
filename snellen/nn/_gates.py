"""What the recurrent cells share: their weights, and the state before the first step."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError


class GatedCell(nn.Module):
    """The weights of a cell: `gates` of them stacked, over inputs and state, with one bias each.

    Raises UsageError where there is no unit.
    """

    def __init__(self, input_size: int, hidden_size: int, gates: int) -> None:
        super().__init__()
        if input_size < 0 or hidden_size < 1:
            raise UsageError(
                f"a cell of {input_size} inputs and {hidden_size} units; one unit or more is wanted"
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.weight_ih = self.fresh(gates * hidden_size, input_size)
        self.weight_hh = self.fresh(gates * hidden_size, hidden_size)
        self.bias = self.fresh(gates * hidden_size)

    def fresh(self, *shape: int) -> nn.Parameter:
        """Numbers that are uniform in +-1 / sqrt(hidden_size), as torch.nn's cells start."""
        bound = self.hidden_size**-0.5
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def extra_repr(self) -> str:
        """What print(cell) shows: inputs and units."""
        return f"{self.input_size}, {self.hidden_size}"


def states(x: Tensor, given: Any, cell: GatedCell, *, count: int) -> tuple[Tensor, ...]:
    """x_BI or x_I, the states that were given -> them, or `count` of zeros: (B, H) or (H,).

    Raises UsageError where shapes do not fit: a state of one row would else serve every row.
    """
    inputs, units = cell.input_size, cell.hidden_size
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
