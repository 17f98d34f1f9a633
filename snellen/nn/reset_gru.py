"""GRU with the reset gate before the product, as in Cho et al. (arXiv:1406.1078) and notes 004.

r = s(W_r x + U_r h + b_r)   z = s(W_z x + U_z h + b_z)
n = tanh(W_n x + U_n (r h) + b_n)   h' = (1 - z) n + z h

torch.nn.GRU is cuDNN's: n = tanh(W_n x + b_n + r (U_n h + c_n)), the reset after the product and
one bias more. Weights trained for one are wrong for the other. Where z and 1 - z change places, as
in some drawings of it, the signs of W_z, U_z and b_z do.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._gates import GatedCell, states

PARTS = {
    "GRU": Part(
        "Sequence models",
        "sn.nn.ResetBeforeGRUCell, torch.nn.GRU, torch.nn.GRUCell",
        "here the reset is before the product (the paper), in PyTorch after it (cuDNN)",
        "004",
    ),
}


class ResetBeforeGRUCell(GatedCell):
    """x_BI and h_BH -> the new h_BH; zeros where no state is given.

    Weights are stacked in torch's order r z n.

    >>> cell = ResetBeforeGRUCell(5, 4)
    >>> cell(torch.zeros(2, 5)).shape, sum(p.numel() for p in cell.parameters())
    (torch.Size([2, 4]), 120)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=3)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """x_BI, h_BH -> h_BH; or one sample, without B."""
        (h,) = states(x, None if state is None else (state,), self, count=1)
        gates_hh, candidate_hh = self.weight_hh.split((2 * self.hidden_size, self.hidden_size))
        gates, candidate = F.linear(x, self.weight_ih, self.bias).split(
            (2 * self.hidden_size, self.hidden_size), -1
        )
        r, z = torch.sigmoid(gates + F.linear(h, gates_hh)).chunk(2, -1)
        n = torch.tanh(candidate + F.linear(r * h, candidate_hh))
        return (1 - z) * n + z * h
