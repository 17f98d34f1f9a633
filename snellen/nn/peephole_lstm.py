"""Peephole LSTM, notes 004 (variant 1; Gers & Schmidhuber 2000): the gates see the cell too.

i = s(W_i x + U_i h + p_i c + b_i)      f = s(W_f x + U_f h + p_f c + b_f)
c' = f c + i tanh(W_g x + U_g h + b_g)  o = s(W_o x + U_o h + p_o c' + b_o)   h' = o tanh(c')

The input and forget gates see the old cell, the output gate the new one, each unit its own cell
by one weight. With p = 0 it is torch.nn.LSTMCell, whose two biases are one here: in all
4h(i + h) + 4h + 3h numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part
from ._gates import GatedCell, states

PARTS = {
    "Peephole LSTM": Part(
        "Sequence models",
        "sn.nn.PeepholeLSTMCell, sn.nn.with_peepholes",
        "the gates see the cell, one weight a unit; 4h(i + h) + 4h + 3h parameters",
        "004",
    ),
}


class PeepholeLSTMCell(GatedCell):
    """x_BI and (h_BH, c_BH) -> the new (h_BH, c_BH); zeros where no state is given.

    Weights are stacked in torch's order i f g o; rows of `peephole` are i f o.

    >>> cell = PeepholeLSTMCell(5, 4)
    >>> h_BH, c_BH = cell(torch.zeros(2, 5))
    >>> h_BH.shape, sum(p.numel() for p in cell.parameters()) == 4 * 4 * (5 + 4) + 4 * 4 + 3 * 4
    (torch.Size([2, 4]), True)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=4)
        self.peephole = self.fresh(3, hidden_size)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """x_BI, (h_BH, c_BH) -> (h_BH, c_BH); or one sample, without B."""
        h, c = states(x, state, self, count=2)
        gates = F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
        i, f, g, o = gates.chunk(4, -1)
        see_i, see_f, see_o = self.peephole
        c_new = torch.sigmoid(f + see_f * c) * c + torch.sigmoid(i + see_i * c) * torch.tanh(g)
        return torch.sigmoid(o + see_o * c_new) * torch.tanh(c_new), c_new


@torch.no_grad()
def with_peepholes(cell: nn.LSTMCell) -> PeepholeLSTMCell:
    """An LSTM cell -> one with peepholes of zero that gives the same, x_BI -> (h_BH, c_BH).

    >>> with_peepholes(nn.LSTMCell(5, 4)).peephole.any()
    tensor(False)
    """
    made = PeepholeLSTMCell(cell.input_size, cell.hidden_size).to(cell.weight_ih)
    made.weight_ih.copy_(cell.weight_ih)
    made.weight_hh.copy_(cell.weight_hh)
    made.bias.copy_(cell.bias_ih + cell.bias_hh if cell.bias else torch.zeros_like(made.bias))
    made.peephole.zero_()
    return made
