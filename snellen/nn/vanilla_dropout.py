"""Vanilla dropout (notes 003; Srivastava et al. 2014): mask in training, scale in the test.

What came later and is usual now is inverted dropout, nn.Dropout: it divides by the keep
probability in training and leaves the test alone. Both give the same mean, on other scales.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "Vanilla dropout": Part(
        "Layers and shapes",
        "sn.nn.VanillaDropout",
        "mask in training, times the KEEP probability in the test",
        "003",
    ),
}


class VanillaDropout(nn.Module):
    """x_BI -> the same shape, any shape: x or 0 in training, keep * x in the test.

    `keep` is the probability that a value stays, the notes' p and 1 - p of nn.Dropout. Raises
    UsageError outside (0, 1].

    >>> VanillaDropout(keep=0.5).eval()(torch.ones(3))
    tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(self, keep: float = 0.5) -> None:
        super().__init__()
        if not 0 < keep <= 1:
            raise UsageError(f"dropout that keeps {keep}; a probability is wanted, 0 < keep <= 1")
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        """x -> the same shape."""
        if not self.training:
            return x * self.keep
        return x * torch.empty_like(x).bernoulli_(self.keep)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"keep={self.keep}"
