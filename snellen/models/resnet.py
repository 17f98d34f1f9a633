"""ResNet, arXiv:1512.03385 tables 1 and 6, and the plain nets that it is compared with.

x_BCHW -> stem (H/4) -> four stages (H/4, H/8, H/16, H/32) -> mean over HW -> logits_BK
On CIFAR: 3x3 stem (H), three stages (H, H/2, H/4), shortcuts without parameters.
Since 2016 the stride sits on the 3x3 (torchvision, "v1.5"), in the paper on the first 1x1: the same
weights, 4.09 GMACs for 3.86. "plain" nets are the paper's control: the same layers, no shortcut.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from ._columns import Block, Count, Shortcut, Stem, StrideOn
from ._names import Named
from ._network import Network
from ._parts import he_init, image_stem, pooled_head
from ._residual import (
    D50,
    D101,
    D152,
    Residual,
    bottleneck,
    refuse_idle,
    residual_stages,
    skip_over,
    two_3x3,
)
from ._row import Row

TORCHVISION = "conv1 bn1 layer#.#.(conv# bn# downsample.#) fc"


@dataclass(frozen=True)
class ResNet(Row):
    """`depths` blocks in each stage; the width doubles from stage to stage.

    >>> ResNet(0, 0, "basic", (1, 1), width=8, stem="small").make(10).stages
    ('stem', 'layer1', 'layer2')
    """

    block: Block
    depths: tuple[Count, ...]
    groups: Count = 1
    base: Count = 64  # channels of one group where the width is 64
    width: Count = 64
    stride_on: StrideOn = "3x3"
    shortcut: Shortcut = "projection"
    stem: Stem = "imagenet"
    family = "ResNet"
    paper = "arXiv:1512.03385"
    names = (Named("torchvision", TORCHVISION, {"stride_on": "3x3"}),)
    small = {"stem": "small"}
    thin = {"width": 16, "stem": "small", "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        if self.block == "basic":
            refuse_idle(self, "groups", "base", "stride_on")
        stem = image_stem(channels, self.width, self.stem)
        stages, cin = residual_stages(partial(_block, row=self), self.width, self.depths)
        return he_init(Network({"stem": stem, **stages}, pooled_head(cin, classes), channels))


def _block(cin: int, width: int, stride: int, row: ResNet) -> tuple[nn.Module, int]:
    if row.block == "basic":
        branch, cout = two_3x3(cin, width, stride), width
    else:
        inner, cout = width * row.base // 64 * row.groups, 4 * width
        branch = bottleneck(cin, inner, cout, stride, groups=row.groups, on=row.stride_on)
    return Residual(branch, skip_over(cin, cout, stride, row.shortcut)), cout


def cifar(depth: int, params: int, macs: int, *, shortcut: Shortcut = "pad") -> ResNet:
    """Section 4.2: three stages of equal depth for 32x32 images in ten classes.

    >>> cifar(3, 269_722, 40_551_040).depths
    (3, 3, 3)
    """
    columns = {"width": 16, "shortcut": shortcut, "family": "ResNet (CIFAR)", **SMALL}
    return ResNet(params, macs, "basic", (depth,) * 3, **columns)


SMALL: dict[str, Any] = {"stem": "small", "input": (3, 32, 32), "classes": 10}
V1, A1 = "IMAGENET1K_V1", "a1_in1k at 288"

TABLE = {  #              parameters  multiply-adds  block  conv2_x..conv5_x
    "tv:resnet18": ResNet(11_689_512, 1_814_073_344, "basic", (2, 2, 2, 2), top1=(69.758, V1)),
    "tv:resnet34": ResNet(21_797_672, 3_663_761_408, "basic", D50, top1=(73.314, V1)),
    "tv:resnet50": ResNet(25_557_032, 4_089_184_256, "bottleneck", D50, top1=(76.130, V1)),
    "timm:resnet50": ResNet(25_557_032, 4_089_184_256, "bottleneck", D50, top1=(81.240, A1)),
    "tv:resnet101": ResNet(44_549_160, 7_801_405_440, "bottleneck", D101, top1=(77.374, V1)),
    "tv:resnet152": ResNet(60_192_808, 11_513_626_624, "bottleneck", D152, top1=(78.312, V1)),
    "paper:resnet50": ResNet(25_557_032, 3_857_973_248, "bottleneck", D50, stride_on="1x1"),
    "paper:resnet101": ResNet(44_549_160, 7_570_194_432, "bottleneck", D101, stride_on="1x1"),
    "paper:resnet152": ResNet(60_192_808, 11_282_415_616, "bottleneck", D152, stride_on="1x1"),
    "paper:plain18": ResNet(11_515_688, 1_794_805_760, "basic", (2, 2, 2, 2), shortcut="none"),
    "paper:plain34": ResNet(21_623_848, 3_644_493_824, "basic", D50, shortcut="none"),
    "paper:resnet20_cifar_A": cifar(3, 269_722, 40_551_040),
    "paper:resnet32_cifar_A": cifar(5, 464_154, 68_862_592),
    "paper:resnet44_cifar_A": cifar(7, 658_586, 97_174_144),
    "paper:resnet56_cifar_A": cifar(9, 853_018, 125_485_696),
    "paper:resnet110_cifar_A": cifar(18, 1_727_962, 252_887_680),
    "paper:resnet1202_cifar_A": cifar(200, 19_421_274, 2_829_238_912),
    "paper:plain20_cifar": cifar(3, 269_722, 40_551_040, shortcut="none"),
    "paper:plain56_cifar": cifar(9, 853_018, 125_485_696, shortcut="none"),
}
