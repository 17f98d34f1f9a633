"""ShuffleNet v2, arXiv:1807.11164 table 5: half the maps pass by, the other half is worked on.

x_BCHW -> conv 3x3 and pool (H/4) -> three stages (to H/32) -> conv 1x1 -> mean over HW -> logits_BK
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._columns import Count, Stem
from ._network import Network
from ._parts import conv_bn, he_init, image_stem, pooled_head
from ._row import Row


class Unit(nn.Module):
    """x_BCHW -> both halves side by side, shuffled; at stride 2 each branch sees the whole x.

    >>> Unit(24, 48, 2)(torch.zeros(2, 24, 8, 8)).shape
    torch.Size([2, 48, 4, 4])
    """

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        half = cout // 2
        self.bypass = None
        if stride == 2:
            depthwise = conv_bn(cin, cin, 3, 2, groups=cin, act=None)
            self.bypass = nn.Sequential(depthwise, conv_bn(cin, half, 1))
        self.branch = nn.Sequential(
            conv_bn(cin if stride == 2 else half, half, 1),
            conv_bn(half, half, 3, stride, groups=half, act=None),
            conv_bn(half, half, 1),
        )
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, cout, H/stride, W/stride)."""
        if self.bypass is None:
            passed, worked = x.chunk(2, 1)
        else:
            passed, worked = self.bypass(x), x
        return self.shuffle(torch.cat([passed, self.branch(worked)], 1))


@dataclass(frozen=True)
class ShuffleNetV2(Row):
    """`widths`: maps of the stem, the three stages and the last convolution.

    >>> ShuffleNetV2(0, 0, (24, 48, 96, 192, 64)).make(10).stages
    ('stem', 'stage2', 'stage3', 'stage4', 'conv')
    """

    widths: tuple[Count, Count, Count, Count, Count]
    depths: tuple[Count, Count, Count] = (4, 8, 4)
    stem: Stem = "imagenet"
    family = "ShuffleNet v2"
    paper = "arXiv:1807.11164"
    names = ("conv1.# stage#.#.branch#.# conv5.# fc",)
    small = {"stem": "small"}
    thin = {"widths": (8, 16, 32, 64, 64), "depths": (2, 2, 1), "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin, *widths, last = self.widths
        stages: dict[str, nn.Module] = {"stem": image_stem(channels, cin, self.stem, size=3)}
        for stage, (depth, cout) in enumerate(zip(self.depths, widths, strict=True), 2):
            units = [Unit(cin, cout, 2)] + [Unit(cout, cout, 1) for _ in range(depth - 1)]
            stages[f"stage{stage}"] = nn.Sequential(*units)
            cin = cout
        stages["conv"] = conv_bn(cin, last, 1)
        return he_init(Network(stages, pooled_head(last, classes), channels))


TABLE = {  #      parameters  multiply-adds  stem, three stages, last
    "tv:shufflenet_v2_x0_5": ShuffleNetV2(
        1_366_792, 40_476_448, (24, 48, 96, 192, 1024), top1=(60.552, "IMAGENET1K_V1")
    ),
    "tv:shufflenet_v2_x1_0": ShuffleNetV2(
        2_278_604, 144_907_992, (24, 116, 232, 464, 1024), top1=(69.362, "IMAGENET1K_V1")
    ),
    "tv:shufflenet_v2_x1_5": ShuffleNetV2(
        3_503_624, 295_759_392, (24, 176, 352, 704, 1024), top1=(72.996, "IMAGENET1K_V1")
    ),
    "tv:shufflenet_v2_x2_0": ShuffleNetV2(
        7_393_996, 583_253_464, (24, 244, 488, 976, 2048), top1=(76.23, "IMAGENET1K_V1")
    ),
}
