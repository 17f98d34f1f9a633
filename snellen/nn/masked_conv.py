"""Masked convolution (notes 003; van den Oord et al., arXiv:1601.06759): it looks back only.

Pixels are in the order of reading, the colours of a pixel in theirs: R, then G given R, then B.
Feature map number n carries colour n % colours. Type A is for the picture itself: what lies at the
centre is seen only in earlier colours. Type B is for all layers after: their own colour as well,
which holds nothing later any more.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

KINDS = ("A", "B")
PARTS = {
    "Masked convolution": Part(
        "Generative models",
        "sn.nn.MaskedConv2d",
        "type A sees the pixels before, type B the pixel's own features too; padding same",
        "003",
    ),
}


class MaskedConv2d(nn.Module):
    """x_BCHW -> (B, out, H, W), each pixel from those above it and those left of it in its row.

    Kernels are odd, so that they have a centre. Raises UsageError for others, and UnknownName for a
    kind that is neither A nor B.

    >>> conv = MaskedConv2d(1, 1, 3, "A")
    >>> conv.mask[0, 0]
    tensor([[1., 1., 1.],
            [1., 0., 0.],
            [0., 0., 0.]])
    >>> conv(torch.zeros(2, 1, 5, 4)).shape
    torch.Size([2, 1, 5, 4])
    """

    mask: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], kind: str, colours: int = 1
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        check_counts(inputs=inputs, outputs=outputs, colours=colours)
        if kind not in KINDS:
            raise UnknownName(kind, KINDS, "kinds of masks")
        if len(sides) != 2 or not all(isinstance(s, int) and s > 0 and s % 2 for s in sides):
            raise UsageError(
                f"a kernel of {kernel!r} has no centre; odd sides are wanted: 3, (1, 3)"
            )
        self.kind, self.colours = kind, colours
        self.conv = nn.Conv2d(inputs, outputs, sides, padding=(sides[0] // 2, sides[1] // 2))
        self.register_buffer("mask", self._mask(outputs, inputs, *sides), persistent=False)

    def _mask(self, outputs: int, inputs: int, height: int, width: int) -> Tensor:
        """-> ones where a weight may look, in the shape of the weights."""
        before = torch.arange(height * width).view(height, width) < height * width // 2
        to_O1 = torch.arange(outputs)[:, None] % self.colours
        from_I = torch.arange(inputs) % self.colours
        mask = before.expand(outputs, inputs, height, width).clone()
        mask[:, :, height // 2, width // 2] = (
            from_I <= to_O1 if self.kind == "B" else from_I < to_O1
        )
        return mask.float()

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, out, H, W)."""
        seen = self.conv.weight * self.mask.to(self.conv.weight)
        return functional_call(self.conv, {"weight": seen}, (x,))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"kind={self.kind!r}, colours={self.colours}"
