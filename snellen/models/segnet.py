"""SegNet, arXiv:1511.00561: VGG-16 down, its mirror image up; values go back where maxima stood.

x_BCHW -> blocks, a 2x2 maximum after each -> unpooled, convolved, block by block -> logits_BKHW
Nothing but the places of the maxima crosses from the way down to the way up. A head that is fed the
blocks' maps finds these places by pooling once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..nn.unpool import unpool_maxima
from ._columns import Count
from ._network import Network
from ._parts import conv_bn, he_init
from ._row import Row


@dataclass(frozen=True)
class SegNet(Row):
    """`depths` convolutions in each block of `widths`; the way up has as many."""

    depths: tuple[Count, ...] = (2, 2, 3, 3, 3)
    widths: tuple[Count, ...] = (64, 128, 256, 512, 512)
    family = "Detection/segmentation"
    paper = "arXiv:1511.00561"
    task = "segment"
    input = (3, 360, 480)
    classes = 11
    thin = {"widths": (4, 6, 8), "depths": (1, 2, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BKHW."""
        stages: dict[str, nn.Module] = {}
        cin = channels
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            pool = [nn.MaxPool2d(2, ceil_mode=True)] if i else []
            stages[f"block{i + 1}"] = nn.Sequential(*pool, *_convs(cin, width, depth))
            cin = width
        head = Unpooled(self.depths, self.widths, classes)
        return he_init(Network(stages, head, channels, taps=tuple(stages)))


class Unpooled(nn.Module):
    """The blocks' maps before they are pooled, fine to coarse -> logits_BKHW."""

    def __init__(self, depths: Sequence[int], widths: Sequence[int], classes: int) -> None:
        super().__init__()
        outs = (widths[0], *widths[:-1])  # the finest block keeps its width, then come the classes
        rows = list(zip(depths, widths, outs, strict=True))
        blocks = [[*_convs(width, width, depth - 1), conv_bn(width, out, 3)]
                  for depth, width, out in reversed(rows[1:])]  # fmt: skip
        finest = [
            *_convs(widths[0], widths[0], depths[0] - 1),
            nn.Conv2d(widths[0], classes, 3, padding=1),
        ]
        self.blocks = nn.ModuleList(nn.Sequential(*block) for block in [*blocks, finest])

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """maps -> logits_BKHW."""
        x: Tensor | None = None
        for block, held in zip(self.blocks, reversed(seen), strict=True):
            pooled, indices = F.max_pool2d(held, 2, ceil_mode=True, return_indices=True)
            size = (held.shape[-2], held.shape[-1])
            x = block(unpool_maxima(pooled if x is None else x, indices, size))
        assert x is not None
        return x


def _convs(cin: int, width: int, count: int) -> list[nn.Module]:
    return [conv_bn(width if i else cin, width, 3) for i in range(count)]


TABLE = {  #           parameters  multiply-adds
    "paper:segnet": SegNet(29_441_419, 106_712_432_640),
    "segnet-small": SegNet(
        834_247, 345_047_040, (1, 1, 2, 2), (32, 64, 96, 128), input=(3, 96, 96), classes=7
    ),
}
