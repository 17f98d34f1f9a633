"""Maxout, arXiv:1302.4389 and notes 003 and 004: the largest of k affine maps, all of them learned.

ReLU is k = 2 with one map held at zero, leaky ReLU with one a fraction of the other. It neither
saturates nor dies, and has k times the parameters.
"""

from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Maxout": Part(
        "Activations", "sn.nn.Maxout", "largest of k affine maps; k times the parameters", "003 004"
    ),
}


class Maxout(nn.Module):
    """x_*I -> (*, O): each output is the largest of `pieces` affine maps of x.

    The maps of output o are rows o * pieces to (o + 1) * pieces - 1 of `linear`. Raises UsageError
    where there is not one piece.

    >>> import torch
    >>> layer = Maxout(3, 4, pieces=2)
    >>> layer(torch.zeros(5, 3)).shape, sum(p.numel() for p in layer.parameters())
    (torch.Size([5, 4]), 32)
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 2) -> None:
        super().__init__()
        if pieces < 1:
            raise UsageError(f"Maxout over {pieces} pieces; at least 1 is wanted, 2 is usual")
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """x_*I -> (*, O)."""
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)
