"""PixelCNN and PixelRNN (notes 003; arXiv:1601.06759): a picture is told pixel by pixel.

p(x) = p(x_1) p(x_2 | x_1) ... : each pixel a softmax over its levels, given all that came before.
A masked 7x7 convolution of type A, residual blocks of type B, two layers of 1x1 convolutions. The
likelihood is exact and its training is parallel; drawing takes one pass a pixel. PixelCNN's 3x3
masks miss a wedge on the upper right (arXiv:1606.05328), the Diagonal BiLSTM misses nothing.
"""

from torch import Tensor, nn

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_counts, check_naturals
from ..core.parts import Part
from ._labels import holds
from .diagonal_lstm import DiagonalBiLSTM
from .masked_conv import MaskedConv2d
from .row_lstm import RowLSTM

PARTS = {
    "PixelCNN": Part(
        "Generative models", "sn.nn.pixel_cnn",
        "masked convolutions give every pixel's softmax, given the pixels before it, in one pass",
        "003",
    ),
    "PixelRNN": Part(
        "Generative models", "sn.nn.pixel_rnn",
        "the same by an LSTM over rows or diagonals: slower, and it sees farther", "003",
    ),
}  # fmt: skip


class PixelNetwork(nn.Module):
    """levels_BCHW (whole numbers 0..K-1) -> logits_BKCHW of each pixel, given those before it.

    `blocks` keep `width` maps and look back only. Raises UsageError for levels out of range.

    >>> import torch
    >>> PixelNetwork([], levels=4, channels=3, width=6)(torch.zeros(2, 3, 5, 5)).shape
    torch.Size([2, 4, 3, 5, 5])
    """

    def __init__(self, blocks: list[nn.Module], *, levels: int, channels: int, width: int) -> None:
        super().__init__()
        check_counts(levels=levels, channels=channels, width=width)
        if levels == 1:
            raise UsageError("levels=1 leaves nothing to tell; two or more are wanted")
        self.levels, self.channels = levels, channels
        self.first = MaskedConv2d(channels, width, 7, "A", channels)
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Sequential(
            nn.ReLU(), MaskedConv2d(width, width, 1, "B", channels),
            nn.ReLU(), MaskedConv2d(width, levels * channels, 1, "B", channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """levels_BCHW -> logits_BKCHW."""
        top = self.levels - 1
        if x.ndim != 4 or x.shape[1] != self.channels or not holds((x >= 0) & (x <= top)):
            raise UsageError(
                f"x of shape {tuple(x.shape)}; (batch, {self.channels}, height, width) of levels "
                f"0..{top} is wanted: of pixels in 0..1 make (x * {top}).round()"
            )
        x = x.to(self.first.conv.weight) * (2 / top) - 1
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x).unflatten(1, (self.levels, self.channels))


def pixel_cnn(
    levels: int = 256, *, channels: int = 1, width: int = 32, depth: int = 3
) -> PixelNetwork:
    """-> PixelCNN of `depth` residual blocks: ReLU and masked 1x1, 3x3, 1x1, half as wide inside.

    Raises UsageError where half the width cannot be shared out among the channels.

    >>> import torch
    >>> pixel_cnn(2, width=8)(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 1, 4, 4])
    """
    half = _half(width, channels, depth)

    def block() -> nn.Module:
        return nn.Sequential(
            nn.ReLU(), MaskedConv2d(width, half, 1, "B", channels),
            nn.ReLU(), MaskedConv2d(half, half, 3, "B", channels),
            nn.ReLU(), MaskedConv2d(half, width, 1, "B", channels),
        )  # fmt: skip

    blocks = [block() for _ in range(depth)]
    return PixelNetwork(blocks, levels=levels, channels=channels, width=width)


def pixel_rnn(
    levels: int = 256, *, kind: str = "diagonal", channels: int = 1, width: int = 32, depth: int = 2
) -> PixelNetwork:
    """-> PixelRNN of `depth` residual LSTMs, of `kind` row or diagonal, with half as wide states.

    Raises UnknownName for another kind, UsageError where half the width cannot be shared out.

    >>> import torch
    >>> pixel_rnn(2, kind="row", width=8)(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 1, 4, 4])
    """
    half, layers = _half(width, channels, depth), {"row": RowLSTM, "diagonal": DiagonalBiLSTM}
    if kind not in layers:
        raise UnknownName(kind, layers, "kinds of PixelRNN")
    blocks: list[nn.Module] = [
        nn.Sequential(
            layers[kind](width, half, colours=channels), MaskedConv2d(half, width, 1, "B", channels)
        )
        for _ in range(depth)
    ]
    return PixelNetwork(blocks, levels=levels, channels=channels, width=width)


def _half(width: int, channels: int, depth: int) -> int:
    check_counts(width=width, channels=channels)
    check_naturals(depth=depth)
    if width % (2 * channels):
        raise UsageError(f"width {width} for {channels} channels; twice a multiple is wanted")
    return width // 2
