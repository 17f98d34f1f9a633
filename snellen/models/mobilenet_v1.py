"""MobileNet, arXiv:1704.04861 table 1: a 3x3 on each map alone, then a 1x1 across the maps.

x_BCHW -> conv 3x3 (H/2) -> thirteen separable blocks (to H/32) -> mean over HW -> logits_BK
`width` is the paper's width multiplier; its resolution multiplier is the size of the input.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ._columns import Factor, Share, Stem
from ._names import Named
from ._network import Network
from ._parts import conv_bn, he_init, pooled_head, relu, relu6
from ._row import Row

BLOCKS = (  # maps out and stride of each separable block
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


@dataclass(frozen=True)
class MobileNetV1(Row):
    """Every width of the table times `width`.

    >>> MobileNetV1(0, 0, width=0.25).make(10).get_submodule("stem.conv").out_channels
    8
    """

    width: Factor
    act: Literal["relu", "relu6"] = "relu"  # timm has ReLU6 here
    stem: Stem = "imagenet"
    dropout: Share = 0.0
    family = "MobileNet v1"
    paper = "arXiv:1704.04861"
    names = (
        Named(
            "timm", "conv_stem bn1 blocks.#.#.(conv_dw conv_pw bn#) classifier", {"act": "relu6"}
        ),
    )
    small = {"stem": "small"}
    thin = {"width": 0.25, "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin, act = int(32 * self.width), relu if self.act == "relu" else relu6
        stride = 1 if self.stem == "small" else 2
        stages: dict[str, nn.Module] = {"stem": conv_bn(channels, cin, 3, stride, act=act)}
        for i, (maps, stride) in enumerate(BLOCKS, 1):
            cout = int(maps * self.width)
            stages[f"block{i}"] = nn.Sequential(
                conv_bn(cin, cin, 3, stride, groups=cin, act=act),
                conv_bn(cin, cout, 1, act=act),
            )
            cin = cout
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


MEGVII = "megvii-model/ShuffleNet-Series README"

TABLE = {  #                       parameters  multiply-adds  width
    "paper:mobilenet_v1_1.0": MobileNetV1(4_231_976, 568_740_352, 1.0, top1=(70.6, MEGVII)),
    "paper:mobilenet_v1_0.75": MobileNetV1(2_585_560, 325_400_448, 0.75, top1=(68.4, MEGVII)),
    "paper:mobilenet_v1_0.5": MobileNetV1(1_331_592, 149_497_088, 0.5, top1=(63.7, MEGVII)),
    "paper:mobilenet_v1_0.25": MobileNetV1(470_072, 41_030_272, 0.25, top1=(50.6, MEGVII)),
    "timm:mobilenetv1_100": MobileNetV1(
        4_231_976,
        568_740_352,
        1.0,
        act="relu6",
        top1=(76.088, "ra4_e3600_r224_in1k at 256"),
    ),
}
