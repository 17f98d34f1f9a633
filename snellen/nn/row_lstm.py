"""Row LSTM of PixelRNN (notes 003; van den Oord et al., arXiv:1601.06759): the rows are the time.

All pixels of a row step at once: gates from the row itself by a masked convolution (type B), and
from the state of the row above by a plain one. What a pixel knows is a triangle above it.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from .masked_conv import MaskedConv2d

PARTS = {
    "Row LSTM": Part(
        "Generative models",
        "sn.nn.RowLSTM",
        "an LSTM down the rows, all pixels of a row at once; a pixel knows a triangle above it",
        "003",
    ),
}


class RowLSTM(nn.Module):
    """x_BIHW -> hidden_BDHW, the hidden state at each pixel; none from pixels that come after.

    Raises UsageError where `hidden` cannot be shared out among the colours.

    >>> RowLSTM(4, 6)(torch.zeros(2, 4, 5, 3)).shape
    torch.Size([2, 6, 5, 3])
    """

    def __init__(self, inputs: int, hidden: int, kernel: int = 3, colours: int = 1) -> None:
        super().__init__()
        check_shares_out(hidden, colours)
        self.input = MaskedConv2d(inputs, 4 * hidden, (1, kernel), "B", colours)
        self.state = nn.Conv1d(hidden, 4 * hidden, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x_BIHW -> hidden_BDHW."""
        return run_lstm(self.input(x).unbind(2), self.state, dim=2)


def check_shares_out(hidden: int, colours: int) -> None:
    """UsageError where some colour would have fewer maps than another."""
    check_counts(hidden=hidden, colours=colours)
    if hidden % colours:
        raise UsageError(f"{hidden} hidden maps for {colours} colours; a multiple is wanted")


def run_lstm(gates: tuple[Tensor, ...], state: nn.Module, dim: int) -> Tensor:
    """Gates (B, 4D, N) of each step, in the order i f g o; what a state adds to them -> states.

    The states are stacked along `dim`. From zeros.

    >>> run_lstm((torch.zeros(1, 8, 5),) * 3, nn.Conv1d(2, 8, 1), dim=2).shape
    torch.Size([1, 2, 3, 5])
    """
    batch, count, places = gates[0].shape
    h = c = gates[0].new_zeros(batch, count // 4, places)
    states = []
    for step in gates:
        i, f, g, o = (step + state(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, dim)
