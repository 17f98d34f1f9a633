"""ResNet, arXiv:1512.03385 tables 1 and 6; Wide ResNet 1605.07146; ResNeXt 1611.05431.

x_BCHW -> stem (H/4) -> four stages (H/4, H/8, H/16, H/32) -> mean over HW -> logits_BK
On CIFAR: 3x3 stem (H), three stages (H, H/2, H/4), shortcuts without parameters.
Since 2016 the stride sits on the 3x3 (torchvision, "v1.5"), in the paper on the first 1x1: the same
weights, 4.09 GMACs for 3.86. "plain" nets are the paper's control: the same layers, no shortcut.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ._network import Network
from ._parts import he_init, image_stem, pooled_head
from ._residual import Residual, bottleneck_branch, skip_over, two_3x3
from ._row import Row

Block = Callable[[int, int, int, "ResNet"], tuple[nn.Module, int]]


def basic(cin: int, width: int, stride: int, row: "ResNet") -> tuple[nn.Module, int]:
    """Two 3x3; returns the block and its output channels."""
    skip = skip_over(cin, width, stride, row.shortcut)
    return Residual(two_3x3(cin, width, stride), skip), width


def bottleneck(cin: int, width: int, stride: int, row: "ResNet") -> tuple[nn.Module, int]:
    """1x1 down, 3x3 in groups, 1x1 up to four times the width."""
    mid, cout = width * row.base // 64 * row.groups, width * 4
    branch = bottleneck_branch(cin, mid, cout, stride, groups=row.groups, stride_on=row.stride_on)
    return Residual(branch, skip_over(cin, cout, stride, row.shortcut)), cout


@dataclass(frozen=True)
class ResNet(Row):
    """`depths` blocks in each stage; the width doubles from stage to stage."""

    block: Block
    depths: tuple[int, ...]
    params: int
    macs: int
    groups: int = 1
    base: int = 64  # channels of one group where the width is 64
    width: int = 64
    stride_on: str = "3x3"
    shortcut: str = "projection"
    stem: str = "imagenet"
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000
    family = "ResNet"
    paper = "arXiv:1512.03385"
    names = ("conv1 bn1 layer#.#.(conv# bn# downsample.#) fc",)
    small = {"stem": "small"}
    thin = {"width": 16, "stem": "small", "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stages: dict[str, nn.Module] = {"stem": image_stem(channels, self.width, self.stem)}
        cin = self.width
        for stage, depth in enumerate(self.depths):
            blocks = []
            for i in range(depth):
                stride = 2 if stage and i == 0 else 1
                block, cin = self.block(cin, self.width << stage, stride, self)
                blocks.append(block)
            stages[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        return he_init(Network(stages, pooled_head(cin, classes), channels))


def cifar(depth: int, params: int, shortcut: str = "pad", *, macs: int) -> ResNet:
    """Section 4.2: three stages of equal depth for 32x32 images in ten classes."""
    columns: dict[str, Any] = {"width": 16, "shortcut": shortcut, "stem": "small"}
    return ResNet(basic, (depth,) * 3, params, macs, **columns, **SMALL)


SMALL: dict[str, Any] = {"input": (3, 32, 32), "classes": 10}
D50, D101, D152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
TV50 = ResNet(bottleneck, D50, 25_557_032, 4_089_184_256)

TABLE = {  #                  block conv2_x..conv5_x parameters  multiply-adds
    "tv:resnet18": ResNet(basic, (2, 2, 2, 2), 11_689_512, 1_814_073_344),
    "tv:resnet34": ResNet(basic, D50, 21_797_672, 3_663_761_408),
    "tv:resnet50": TV50,
    "timm:resnet50": TV50,
    "tv:resnet101": ResNet(bottleneck, D101, 44_549_160, 7_801_405_440),
    "tv:resnet152": ResNet(bottleneck, D152, 60_192_808, 11_513_626_624),
    "paper:resnet50": ResNet(bottleneck, D50, 25_557_032, 3_857_973_248, stride_on="1x1"),
    "paper:resnet101": ResNet(bottleneck, D101, 44_549_160, 7_570_194_432, stride_on="1x1"),
    "paper:resnet152": ResNet(bottleneck, D152, 60_192_808, 11_282_415_616, stride_on="1x1"),
    "paper:plain18": ResNet(basic, (2, 2, 2, 2), 11_515_688, 1_794_805_760, shortcut="none"),
    "paper:plain34": ResNet(basic, D50, 21_623_848, 3_644_493_824, shortcut="none"),
    "tv:wide_resnet50_2": ResNet(bottleneck, D50, 68_883_240, 11_398_021_120, base=128),
    "tv:wide_resnet101_2": ResNet(bottleneck, D101, 126_886_696, 22_753_050_624, base=128),
    "tv:resnext50_32x4d": ResNet(bottleneck, D50, 25_028_904, 4_230_479_872, groups=32, base=4),
    "timm:resnext101_32x4d": ResNet(bottleneck, D101, 44_177_704, 7_969_996_800, groups=32, base=4),
    "tv:resnext101_32x8d": ResNet(bottleneck, D101, 88_791_336, 16_414_015_488, groups=32, base=8),
    "tv:resnext101_64x4d": ResNet(bottleneck, D101, 83_455_272, 15_460_270_080, groups=64, base=4),
    "paper:resnext29_8x64d_cifar": ResNet(
        bottleneck, (3, 3, 3), 34_426_698, 5_387_266_048, groups=8, stem="small", **SMALL
    ),
    "paper:resnext29_16x64d_cifar": ResNet(
        bottleneck, (3, 3, 3), 68_155_210, 10_688_866_304, groups=16, stem="small", **SMALL
    ),
    "paper:resnet20_cifar_A": cifar(3, 269_722, macs=40_551_040),
    "paper:resnet32_cifar_A": cifar(5, 464_154, macs=68_862_592),
    "paper:resnet44_cifar_A": cifar(7, 658_586, macs=97_174_144),
    "paper:resnet56_cifar_A": cifar(9, 853_018, macs=125_485_696),
    "paper:resnet110_cifar_A": cifar(18, 1_727_962, macs=252_887_680),
    "paper:resnet1202_cifar_A": cifar(200, 19_421_274, macs=2_829_238_912),
    "paper:plain20_cifar": cifar(3, 269_722, "none", macs=40_551_040),
    "paper:plain56_cifar": cifar(9, 853_018, "none", macs=125_485_696),
}
