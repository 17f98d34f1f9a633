"""Any recurrent cell over a sequence (notes 003): padding masked, backpropagation cut on request.

A cell is x_BI, state -> state, the state being h or (h, c): torch.nn's RNNCell, LSTMCell and
GRUCell and the cells of this folder. Truncated backpropagation through time computes the same
outputs, but no gradient flows across a cut: with k steps between cuts, k >= T is the whole.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.parts import Part
from ._labels import holds

PARTS = {
    "Cell over a sequence": Part(
        "Sequence models",
        "sn.nn.Recurrent",
        "any cell, own or PyTorch's, over x_BTI; sequences of different lengths",
        "003",
    ),
    "Truncated backpropagation through time": Part(
        "Sequence models",
        "sn.nn.Recurrent, sn.nn.detach_state",
        "Recurrent(cell, truncate=k): no gradient flows over more than k steps; "
        "detach_state between the pieces of a long stream",
        "003",
    ),
}


class Recurrent(nn.Module):
    """x_BTI, state, lengths_B -> outputs_BTH and the last state.

    Past its length a sequence keeps its state, and its outputs are 0. `truncate` cuts the gradient
    before steps k, 2k, ... Raises UsageError on another number of axes, where truncate < 1, and for
    lengths that are not one whole number in 0..T a row.

    >>> outputs_BTH, (h_BH, c_BH) = Recurrent(nn.LSTMCell(5, 4))(torch.zeros(2, 7, 5))
    >>> outputs_BTH.shape, h_BH.shape
    (torch.Size([2, 7, 4]), torch.Size([2, 4]))
    """

    def __init__(self, cell: nn.Module, truncate: int | None = None) -> None:
        super().__init__()
        if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
            raise UsageError(
                f"truncate = {truncate}; whole steps between two cuts are wanted, 1 or more"
            )
        self.cell = cell
        self.truncate = truncate

    def forward(self, x: Tensor, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """x_BTI, state, lengths_B -> outputs_BTH, state."""
        if x.ndim != 3 or not x.shape[1]:
            raise UsageError(f"x of shape {tuple(x.shape)}; (batch, time, features) is wanted")
        if lengths is not None:
            lengths = _lengths(lengths, x)
            there_BT1 = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
            x = x.masked_fill(~there_BT1, 0)  # padding may hold anything
        outputs = []
        for t, x_BI in enumerate(x.unbind(1)):
            if self.truncate and t and t % self.truncate == 0:
                state = detach_state(state)
            new = self.cell(x_BI, state)
            if lengths is not None:
                new = _keep(new, state, there_BT1[:, t])
            state = new
            outputs.append(state[0] if isinstance(state, tuple) else state)
        outputs_BTH = torch.stack(outputs, 1)
        return outputs_BTH if lengths is None else outputs_BTH * there_BT1, state


def detach_state(state: Any) -> Any:
    """A state, h_BH or (h_BH, c_BH) -> the same numbers without their history.

    >>> detach_state(torch.ones(1, requires_grad=True) * 2).requires_grad
    False
    """
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return None if state is None else state.detach()


def _lengths(lengths: Any, x_BTI: Tensor) -> Tensor:
    """Lengths, a tensor or a list -> lengths_B on x's device; one in 0..T for each row."""
    try:
        lengths = torch.as_tensor(lengths, device=x_BTI.device)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"lengths {lengths!r}; a tensor of whole numbers is wanted") from None
    if lengths.shape != x_BTI.shape[:1] or (lengths.numel() and not _is_whole(lengths)):
        raise UsageError(
            f"lengths of shape {tuple(lengths.shape)} and {lengths.dtype} for x of shape "
            f"{tuple(x_BTI.shape)}; one whole number for each of the {len(x_BTI)} rows is wanted"
        )
    in_reach = (lengths >= 0) & (lengths <= x_BTI.shape[1])
    if not holds(in_reach):
        raise UsageError(
            f"lengths {lengths.tolist()} of {x_BTI.shape[1]} steps; each must be in "
            f"0..{x_BTI.shape[1]}"
        )
    return lengths


def _is_whole(x: Tensor) -> bool:
    return not (x.is_floating_point() or x.is_complex() or x.dtype is torch.bool)


def _keep(new: Any, old: Any, running_B1: Tensor) -> Any:
    """The new state where the sequence still runs, else the old one; zeros before the first."""
    if isinstance(new, tuple):
        before = old or (None,) * len(new)
        return tuple(_keep(n, o, running_B1) for n, o in zip(new, before, strict=True))
    return torch.where(running_B1, new, torch.zeros_like(new) if old is None else old)
