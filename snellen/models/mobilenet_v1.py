"""MobileNet, arXiv:1704.04861 table 1: a 3x3 on each map alone, then a 1x1 across the maps.

x_BCHW -> conv 3x3 (H/2) -> thirteen separable blocks (to H/32) -> mean over HW -> logits_BK
`width` is the paper's width multiplier; its resolution multiplier is the size of the input.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ._network import Network
from ._parts import conv_bn, he_init, pooled_head, relu, relu6
from ._row import Row

BLOCKS = (  # maps out and stride of each separable block
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


@dataclass(frozen=True)
class MobileNetV1(Row):
    """Every width of the table times `width`."""

    width: float
    params: int
    macs: int
    act: Callable[[], nn.Module] = relu  # timm has ReLU6 here
    stem: str = "imagenet"
    dropout: float = 0.0
    family = "MobileNet v1"
    paper = "arXiv:1704.04861"
    names = ("conv_stem bn1 blocks.#.#.(conv_dw conv_pw bn#) classifier",)
    small = {"stem": "small"}
    thin = {"width": 0.25, "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin = int(32 * self.width)
        stride = 1 if self.stem == "small" else 2
        stages: dict[str, nn.Module] = {"stem": conv_bn(channels, cin, 3, stride, act=self.act)}
        for i, (maps, stride) in enumerate(BLOCKS, 1):
            cout = int(maps * self.width)
            stages[f"block{i}"] = nn.Sequential(
                conv_bn(cin, cin, 3, stride, groups=cin, act=self.act),
                conv_bn(cin, cout, 1, act=self.act),
            )
            cin = cout
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


TABLE = {  #                       width  parameters  multiply-adds
    "paper:mobilenet_v1_1.0": MobileNetV1(1.0, 4_231_976, 568_740_352),
    "paper:mobilenet_v1_0.75": MobileNetV1(0.75, 2_585_560, 325_400_448),
    "paper:mobilenet_v1_0.5": MobileNetV1(0.5, 1_331_592, 149_497_088),
    "paper:mobilenet_v1_0.25": MobileNetV1(0.25, 470_072, 41_030_272),
    "timm:mobilenetv1_100": MobileNetV1(1.0, 4_231_976, 568_740_352, act=relu6),
}
