"""What a network that tells pictures pixel by pixel is good for: their probability, and new ones.

Any network will do whose logits_BKCHW of a pixel depend on the pixels before it alone.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from ._labels import holds, widen

PARTS = {
    "Bits per dimension": Part(
        "Generative models", "sn.nn.bits_per_dimension",
        "-log2 p(x) a pixel and colour; log2 K where nothing is learned", "003",
    ),
    "Ancestral sampling": Part(
        "Generative models", "sn.nn.draw_pictures", "pixel by pixel, each from its softmax", "003"
    ),
}  # fmt: skip


def bits_per_dimension(logits_BKCHW: Tensor, levels_BCHW: Tensor) -> Tensor:
    """logits_BKCHW and the true levels_BCHW -> bits_B, -log2 p(x) / (C H W) of each picture.

    Raises UsageError for shapes that do not fit and levels that have no logit.

    >>> bits_per_dimension(torch.zeros(1, 256, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    tensor([8.])
    """
    count, wanted = logits_BKCHW.shape[1], logits_BKCHW[:, 0].shape
    if levels_BCHW.shape != wanted or not holds((levels_BCHW >= 0) & (levels_BCHW < count)):
        raise UsageError(
            f"levels of shape {tuple(levels_BCHW.shape)} for logits of shape "
            f"{tuple(logits_BKCHW.shape)}; {tuple(wanted)} of 0..{count - 1} is wanted"
        )
    nats = F.cross_entropy(widen(logits_BKCHW), levels_BCHW.long(), reduction="none")
    return nats.flatten(1).mean(1) / math.log(2)


@torch.no_grad()
def draw_pictures(
    net: nn.Module, shape: tuple[int, int, int, int], generator: torch.Generator | None = None
) -> Tensor:
    """net (levels_BCHW -> logits_BKCHW), shape (B, C, H, W) -> levels_BCHW drawn pixel by pixel.

    One pass of the network for each pixel and colour; the network's weights say on which device.
    Raises UsageError for a shape that is not four whole numbers from 1 up.

    >>> from snellen.nn.pixel_network import pixel_cnn
    >>> draw_pictures(pixel_cnn(2, width=8), (2, 1, 3, 3)).unique().tolist()
    [0, 1]
    """
    if len(shape) != 4:
        raise UsageError(f"shape {tuple(shape)}; (batch, channels, height, width) is wanted")
    check_counts(**dict(zip(("batch", "channels", "height", "width"), shape, strict=True)))
    device = next((p.device for p in net.parameters()), None)
    x = torch.zeros(shape, dtype=torch.long, device=device)
    for row in range(shape[2]):
        for column in range(shape[3]):
            for colour in range(shape[1]):
                p_BK = widen(net(x)[:, :, colour, row, column]).softmax(1)
                x[:, colour, row, column] = torch.multinomial(p_BK, 1, generator=generator)[:, 0]
    return x
