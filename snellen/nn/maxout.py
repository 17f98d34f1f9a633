"""Maxout, arXiv:1302.4389 and notes 003 and 004: the largest of k affine maps, all of them learned.

ReLU is k = 2 with one map held at zero, leaky ReLU with one a fraction of the other. It neither
saturates nor dies, and has k times the parameters.
"""

from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

PARTS = {
    "Maxout": Part(
        "Activations",
        "sn.nn.Maxout, sn.nn.largest_piece",
        "largest of k affine maps, k times the parameters; largest_piece behind a convolution",
        "003 004",
    ),
}


def largest_piece(x: Tensor, pieces: int = 2, dim: int = 1) -> Tensor:
    """x_BCHW -> (B, C / pieces, H, W): the largest of each few neighbours along `dim`.

    Maxout without its maps: behind a convolution it makes a convolutional maxout layer. Raises
    UsageError where the channels are no multiple of the pieces, or these no whole number from 1 up.

    >>> import torch
    >>> largest_piece(torch.tensor([[1.0, 5.0, 3.0, 2.0]]))
    tensor([[5., 3.]])
    """
    check_counts(pieces=pieces)
    if x.shape[dim] % pieces:
        raise UsageError(
            f"{pieces} pieces of {x.shape[dim]} channels; a divisor of {x.shape[dim]} is wanted"
        )
    return x.unflatten(dim, (-1, pieces)).amax(dim + 1 if dim >= 0 else dim)


class Maxout(nn.Module):
    """x_BI -> out_BO, with any axes in the place of B: each output the largest of `pieces` maps.

    The maps of output o are rows o * pieces to (o + 1) * pieces - 1 of `linear`. Raises UsageError
    where there is not one piece.

    >>> import torch
    >>> layer = Maxout(3, 4, pieces=2)
    >>> layer(torch.zeros(5, 3)).shape, sum(p.numel() for p in layer.parameters())
    (torch.Size([5, 4]), 32)
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 2) -> None:
        super().__init__()
        check_counts(in_features=in_features, out_features=out_features, pieces=pieces)
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """x_BI -> out_BO."""
        return largest_piece(self.linear(x), self.pieces, -1)
