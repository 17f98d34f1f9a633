"""ResNet, arXiv:1512.03385 tables 1 and 6; Wide ResNet 1605.07146; ResNeXt 1611.05431.

x_BCHW -> stem (H/4) -> four stages (H/4, H/8, H/16, H/32) -> mean over HW -> logits_BK
On CIFAR: 3x3 stem (H), three stages (H, H/2, H/4), shortcuts without parameters.
Since 2016 the stride sits on the 3x3 (torchvision, "v1.5"), in the paper on the first 1x1: the same
weights, 4.09 GMACs for 3.86. "plain" nets are the paper's control: the same layers, no shortcut.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from torch import nn

from ._columns import Count, Stem
from ._names import Named
from ._network import Network
from ._parts import he_init, image_stem, pooled_head
from ._residual import (
    D50,
    D101,
    D152,
    Residual,
    Shortcut,
    StrideOn,
    bottleneck_branch,
    residual_stages,
    skip_over,
    two_3x3,
)
from ._row import Row


@dataclass(frozen=True)
class ResNet(Row):
    """`depths` blocks in each stage; the width doubles from stage to stage."""

    block: Literal["basic", "bottleneck"]
    depths: tuple[Count, ...]
    groups: Count = 1
    base: Count = 64  # channels of one group where the width is 64
    width: Count = 64
    stride_on: StrideOn = "3x3"
    shortcut: Shortcut = "projection"
    stem: Stem = "imagenet"
    family = "ResNet"
    paper = "arXiv:1512.03385"
    names = (
        Named(
            "torchvision", "conv1 bn1 layer#.#.(conv# bn# downsample.#) fc", {"stride_on": "3x3"}
        ),
    )
    small = {"stem": "small"}
    thin = {"width": 16, "stem": "small", "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stem = image_stem(channels, self.width, self.stem)
        stages, cin = residual_stages(partial(_block, row=self), self.width, self.depths)
        return he_init(Network({"stem": stem, **stages}, pooled_head(cin, classes), channels))


def _block(cin: int, width: int, stride: int, row: ResNet) -> tuple[nn.Module, int]:
    """Two 3x3, or 1x1 down, 3x3 in groups, 1x1 up to four times the width."""
    if row.block == "basic":
        cout, branch = width, two_3x3(cin, width, stride)
    else:
        mid, cout = width * row.base // 64 * row.groups, width * 4
        branch = bottleneck_branch(
            cin, mid, cout, stride, groups=row.groups, stride_on=row.stride_on
        )
    return Residual(branch, skip_over(cin, cout, stride, row.shortcut)), cout


def cifar(depth: int, params: int, shortcut: str = "pad", *, macs: int) -> ResNet:
    """Section 4.2: three stages of equal depth for 32x32 images in ten classes."""
    columns: dict[str, Any] = {"width": 16, "shortcut": shortcut, "stem": "small", **SMALL}
    return ResNet(params, macs, "basic", (depth,) * 3, family="ResNet (CIFAR)", **columns)


SMALL: dict[str, Any] = {"input": (3, 32, 32), "classes": 10}
NEXT: dict[str, Any] = {"family": "ResNeXt", "paper": "arXiv:1611.05431"}
WIDE: dict[str, Any] = {"family": "Wide ResNet", "paper": "arXiv:1605.07146"}
V1 = "IMAGENET1K_V1"
TV50 = ResNet(25_557_032, 4_089_184_256, "bottleneck", D50, top1=(76.130, V1))

TABLE = {  #        parameters  multiply-adds  block  conv2_x..conv5_x
    "tv:resnet18": ResNet(11_689_512, 1_814_073_344, "basic", (2, 2, 2, 2), top1=(69.758, V1)),
    "tv:resnet34": ResNet(21_797_672, 3_663_761_408, "basic", D50, top1=(73.314, V1)),
    "tv:resnet50": TV50,
    "timm:resnet50": replace(TV50, top1=(81.240, "a1_in1k at 288")),
    "tv:resnet101": ResNet(44_549_160, 7_801_405_440, "bottleneck", D101, top1=(77.374, V1)),
    "tv:resnet152": ResNet(60_192_808, 11_513_626_624, "bottleneck", D152, top1=(78.312, V1)),
    "paper:resnet50": ResNet(25_557_032, 3_857_973_248, "bottleneck", D50, stride_on="1x1"),
    "paper:resnet101": ResNet(44_549_160, 7_570_194_432, "bottleneck", D101, stride_on="1x1"),
    "paper:resnet152": ResNet(60_192_808, 11_282_415_616, "bottleneck", D152, stride_on="1x1"),
    "paper:plain18": ResNet(11_515_688, 1_794_805_760, "basic", (2, 2, 2, 2), shortcut="none"),
    "paper:plain34": ResNet(21_623_848, 3_644_493_824, "basic", D50, shortcut="none"),
    "tv:wide_resnet50_2": ResNet(
        68_883_240, 11_398_021_120, "bottleneck", D50, base=128, top1=(78.468, V1), **WIDE
    ),
    "tv:wide_resnet101_2": ResNet(
        126_886_696, 22_753_050_624, "bottleneck", D101, base=128, top1=(78.848, V1), **WIDE
    ),
    "tv:resnext50_32x4d": ResNet(
        25_028_904, 4_230_479_872, "bottleneck", D50, groups=32, base=4, top1=(77.618, V1), **NEXT
    ),
    "timm:resnext101_32x4d": ResNet(
        44_177_704, 7_969_996_800, "bottleneck", D101, groups=32, base=4, **NEXT,
        top1=(83.268, "fb_swsl_ig1b_ft_in1k"),
    ),
    "tv:resnext101_32x8d": ResNet(
        88_791_336, 16_414_015_488, "bottleneck", D101, groups=32, base=8, top1=(79.312, V1), **NEXT
    ),
    "tv:resnext101_64x4d": ResNet(
        83_455_272, 15_460_270_080, "bottleneck", D101, groups=64, base=4, top1=(83.246, V1), **NEXT
    ),
    "paper:resnext29_8x64d_cifar": ResNet(
        34_426_698, 5_387_266_048, "bottleneck", (3, 3, 3), groups=8, stem="small", **SMALL, **NEXT
    ),
    "paper:resnext29_16x64d_cifar": ResNet(
        68_155_210, 10_688_866_304, "bottleneck", (3, 3, 3), groups=16, stem="small",
        **SMALL, **NEXT,
    ),
    "paper:resnet20_cifar_A": cifar(3, 269_722, macs=40_551_040),
    "paper:resnet32_cifar_A": cifar(5, 464_154, macs=68_862_592),
    "paper:resnet44_cifar_A": cifar(7, 658_586, macs=97_174_144),
    "paper:resnet56_cifar_A": cifar(9, 853_018, macs=125_485_696),
    "paper:resnet110_cifar_A": cifar(18, 1_727_962, macs=252_887_680),
    "paper:resnet1202_cifar_A": cifar(200, 19_421_274, macs=2_829_238_912),
    "paper:plain20_cifar": cifar(3, 269_722, "none", macs=40_551_040),
    "paper:plain56_cifar": cifar(9, 853_018, "none", macs=125_485_696),
}  # fmt: skip
