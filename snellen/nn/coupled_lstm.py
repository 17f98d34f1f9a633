"""LSTM with coupled input and forget gates, notes 004 (variant 2; Greff et al., arXiv:1503.04069).

f = s(W_f x + U_f h + b_f)   c' = f c + (1 - f) tanh(W_g x + U_g h + b_g)   h' = o tanh(c')

Something new comes in only where something old is forgotten. As 1 - s(z) = s(-z), it is the LSTM
whose input gate has the forget gate's weights with the other sign, on three quarters of them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._gates import GatedCell, states

PARTS = {
    "LSTM with coupled gates": Part(
        "Sequence models",
        "sn.nn.CoupledLSTMCell",
        "input gate = 1 - forget gate; 3h(i + h) + 3h parameters",
        "004",
    ),
}


class CoupledLSTMCell(GatedCell):
    """x_BI and (h_BH, c_BH) -> the new (h_BH, c_BH); zeros where no state is given.

    Weights are stacked in the order f g o.

    >>> cell = CoupledLSTMCell(5, 4)
    >>> h_BH, c_BH = cell(torch.zeros(2, 5))
    >>> h_BH.shape, sum(p.numel() for p in cell.parameters()) == 3 * 4 * (5 + 4) + 3 * 4
    (torch.Size([2, 4]), True)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=3)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """x_BI, (h_BH, c_BH) -> (h_BH, c_BH); or one sample, without B."""
        h, c = states(x, state, self, count=2)
        gates = F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.weight_hh)
        f, g, o = gates.chunk(3, -1)
        kept = torch.sigmoid(f)
        c = kept * c + (1 - kept) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
