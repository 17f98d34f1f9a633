"""ShuffleNet, arXiv:1707.01083 table 1: grouped 1x1 convolutions, and a shuffle so that groups mix.

x_BCHW -> conv 3x3 and pool (H/4) -> three stages (to H/32) -> mean over HW -> logits_BK
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ._columns import Count, Factor, Stem
from ._network import Network
from ._parts import conv_bn, he_init, image_stem, pooled_head, round_width
from ._row import Row

WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # groups -> maps of the first stage
DEPTHS = (4, 8, 4)


class Unit(nn.Module):
    """x_BCHW -> relu(x + branch(x)); at stride 2 the pooled x stands beside the branch instead.

    >>> Unit(24, 48, 2, groups=3, first=1)(torch.zeros(2, 24, 8, 8)).shape
    torch.Size([2, 48, 4, 4])
    """

    def __init__(self, cin: int, cout: int, stride: int, *, groups: int, first: int) -> None:
        super().__init__()
        mid = cout // 4
        self.branch = nn.Sequential(
            conv_bn(cin, mid, 1, groups=first),
            nn.ChannelShuffle(groups),
            conv_bn(mid, mid, 3, stride, groups=mid, act=None),
            conv_bn(mid, cout - cin if stride == 2 else cout, 1, groups=groups, act=None),
        )
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, cout, H/stride, W/stride)."""
        out = self.branch(x)
        return self.act(x + out if self.pool is None else torch.cat([self.pool(x), out], 1))


@dataclass(frozen=True)
class ShuffleNetV1(Row):
    """Stage widths follow from `groups`, at equal cost, times `width`.

    A width is rounded so that a quarter of it, which a unit narrows to, falls into whole groups;
    the stem's must do so too, since its maps are part of the first stage's.

    >>> ShuffleNetV1(0, 0, groups=3, width=0.5).make(10).stages
    ('stem', 'stage2', 'stage3', 'stage4')
    """

    groups: Literal[1, 2, 3, 4, 8]
    width: Factor
    stem_width: Count = 24
    depths: tuple[Count, ...] = DEPTHS
    stem: Stem = "imagenet"
    family = "ShuffleNet v1"
    paper = "arXiv:1707.01083"
    small = {"stem": "small"}
    thin = {"stem": "small", "depths": (2, 2)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin = self.stem_width
        if cin % self.groups:
            raise ValueError(f"stem_width={cin} is no multiple of groups={self.groups}")
        narrow = round_width(WIDTHS[self.groups] * self.width, 4 * self.groups)
        if narrow <= cin:
            raise ValueError(
                f"width={self.width} leaves {narrow} maps in the first stage, no more than the "
                f"{cin} of the stem; a larger width or a smaller stem_width is wanted"
            )
        stages: dict[str, nn.Module] = {"stem": image_stem(channels, cin, self.stem, size=3)}
        for stage, depth in enumerate(self.depths):
            cout = narrow << stage
            units = []
            for i in range(depth):
                # so few maps enter the very first unit that its 1x1 is not grouped
                first = 1 if stage == i == 0 else self.groups
                unit = Unit(cin, cout, 2 if i == 0 else 1, groups=self.groups, first=first)
                units.append(unit)
                cin = cout
            stages[f"stage{stage + 2}"] = nn.Sequential(*units)
        return he_init(Network(stages, pooled_head(cin, classes), channels))


MEGVII = "megvii-model/ShuffleNet-Series README"

TABLE = {  #                     parameters multiply-adds groups width
    "paper:shufflenet_v1_g1_1.0x": ShuffleNetV1(1_531_936, 143_078_976, 1, 1.0),
    "paper:shufflenet_v1_g2_1.0x": ShuffleNetV1(1_733_848, 140_836_512, 2, 1.0),
    "paper:shufflenet_v1_g3_1.0x": ShuffleNetV1(
        1_865_728, 137_460_672, 3, 1.0, top1=(67.8, MEGVII)
    ),
    "paper:shufflenet_v1_g4_1.0x": ShuffleNetV1(1_968_344, 134_339_776, 4, 1.0),
    "paper:shufflenet_v1_g8_1.0x": ShuffleNetV1(
        2_434_768, 138_365_952, 8, 1.0, top1=(68.0, MEGVII)
    ),
    "paper:shufflenet_v1_g3_0.5x": ShuffleNetV1(
        718_324, 37_589_856, 3, 0.5, 12, top1=(57.3, MEGVII)
    ),
    "paper:shufflenet_v1_g3_1.5x": ShuffleNetV1(
        3_442_168, 292_443_552, 3, 1.5, top1=(71.6, MEGVII)
    ),
    "paper:shufflenet_v1_g3_2.0x": ShuffleNetV1(
        5_450_776, 524_045_184, 3, 2.0, 48, top1=(74.1, MEGVII)
    ),
    "paper:shufflenet_v1_g8_0.5x": ShuffleNetV1(
        1_011_448, 40_469_760, 8, 0.5, 16, top1=(58.8, MEGVII)
    ),
    "paper:shufflenet_v1_g8_1.5x": ShuffleNetV1(
        4_269_952, 290_188_800, 8, 1.5, top1=(71.0, MEGVII)
    ),
    "paper:shufflenet_v1_g8_2.0x": ShuffleNetV1(
        6_522_232, 521_942_016, 8, 2.0, 48, top1=(72.9, MEGVII)
    ),
}
