"""Diagonal BiLSTM of PixelRNN (notes 003; arXiv:1601.06759): the diagonals are the time.

Row i is shifted right by i, so a column holds a diagonal, whose pixels step at once; each knows the
states of its left and its upper neighbour. A second one runs from the right; its states come one
row lower, else they would hold pixels not yet told. Together they know all that came before.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part
from .masked_conv import MaskedConv2d
from .row_lstm import check_shares_out, run_lstm

PARTS = {
    "Diagonal BiLSTM": Part(
        "Generative models",
        "sn.nn.DiagonalBiLSTM, sn.nn.skew, sn.nn.unskew",
        "two LSTMs along the diagonals, from the left and from the right; every pixel before",
        "003",
    ),
}


class DiagonalBiLSTM(nn.Module):
    """x_BIHW -> hidden_BDHW, the hidden state at each pixel; none from pixels that come after.

    Raises UsageError where `hidden` cannot be shared out among the colours.

    >>> import torch
    >>> DiagonalBiLSTM(4, 6)(torch.zeros(2, 4, 5, 3)).shape
    torch.Size([2, 6, 5, 3])
    """

    def __init__(self, inputs: int, hidden: int, colours: int = 1) -> None:
        super().__init__()
        check_shares_out(hidden, colours)
        self.inputs = nn.ModuleList(
            MaskedConv2d(inputs, 4 * hidden, 1, "B", colours) for _ in range(2)
        )
        self.states = nn.ModuleList(
            nn.Sequential(
                nn.ConstantPad1d((1, 0), 0.0), nn.Conv1d(hidden, 4 * hidden, 2, bias=False)
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x_BIHW -> hidden_BDHW."""
        from_left = self._run(x, 0)
        from_right = self._run(x.flip(3), 1).flip(3)
        return from_left + F.pad(from_right, (0, 0, 1, 0))[:, :, :-1]

    def _run(self, x: Tensor, way: int) -> Tensor:
        gates = skew(self.inputs[way](x)).unbind(3)
        return unskew(run_lstm(gates, self.states[way], dim=3))


def skew(x: Tensor) -> Tensor:
    """x_BCHW -> (B, C, H, W + H - 1), row i shifted right by i, with zeros around.

    >>> import torch
    >>> skew(torch.tensor([[[[1, 2], [3, 4]]]]))
    tensor([[[[1, 2, 0],
              [0, 3, 4]]]])
    """
    height, width = x.shape[-2:]
    flat = F.pad(x, (0, height)).flatten(2)
    return flat[..., : flat.shape[-1] - height].unflatten(2, (height, width + height - 1))


def unskew(x: Tensor) -> Tensor:
    """(B, C, H, W + H - 1) -> x_BCHW: undoes `skew`.

    >>> import torch
    >>> unskew(skew(torch.tensor([[[[1, 2], [3, 4]]]])))
    tensor([[[[1, 2],
              [3, 4]]]])
    """
    height, width = x.shape[-2], x.shape[-1] - x.shape[-2] + 1
    return F.pad(x.flatten(2), (0, height)).unflatten(2, (height, width + height))[..., :width]
