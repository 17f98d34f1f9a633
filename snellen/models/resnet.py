"""ResNet, arXiv:1512.03385 tables 1 and 6; Wide ResNet 1605.07146; ResNeXt 1611.05431.

x_BCHW -> stem (H/4) -> four stages (H/4, H/8, H/16, H/32) -> mean over HW -> logits_BK
On CIFAR: 3x3 stem (H), three stages (H, H/2, H/4), shortcuts without parameters.
Since 2016 the stride sits on the 3x3 (torchvision, "v1.5"), in the paper on the first 1x1: the same
weights, 4.09 GMACs for 3.86. "plain" nets are the paper's control: the same layers, no shortcut.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ._network import Network
from ._parts import conv_bn, he_init, image_stem, pooled_head
from ._residual import Residual, skip_over
from ._row import Row

Block = Callable[[int, int, int, "ResNet"], tuple[nn.Module, int]]


def basic(cin: int, width: int, stride: int, row: "ResNet") -> tuple[nn.Module, int]:
    """Two 3x3; returns the block and its output channels."""
    branch = nn.Sequential(conv_bn(cin, width, 3, stride), conv_bn(width, width, 3, act=None))
    return Residual(branch, skip_over(cin, width, stride, row.shortcut)), width


def bottleneck(cin: int, width: int, stride: int, row: "ResNet") -> tuple[nn.Module, int]:
    """1x1 down, 3x3 in groups, 1x1 up to four times the width."""
    mid, cout = width * row.base // 64 * row.groups, width * 4
    first, second = (stride, 1) if row.stride_on == "1x1" else (1, stride)
    branch = nn.Sequential(
        conv_bn(cin, mid, 1, first),
        conv_bn(mid, mid, 3, second, groups=row.groups),
        conv_bn(mid, cout, 1, act=None),
    )
    return Residual(branch, skip_over(cin, cout, stride, row.shortcut)), cout


@dataclass(frozen=True)
class ResNet(Row):
    """`depths` blocks in each stage; the width doubles from stage to stage."""

    block: Block
    depths: tuple[int, ...]
    params: int
    macs: int
    groups: int = 1
    base: int = 64  # channels of one group in the first stage
    width: int = 64
    stride_on: str = "3x3"
    shortcut: str = "projection"
    stem: str = "imagenet"
    input: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000
    family = "ResNet"
    paper = "arXiv:1512.03385"
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
        net = Network(stages, pooled_head(cin, classes), channels)
        he_init(net)
        return net


def cifar(block: Block, depth: int, params: int, macs: int, **change: object) -> ResNet:
    """The paper's section 4.2: three stages of equal depth on 32x32, ten classes."""
    columns = {"width": 16, "shortcut": "pad", "stem": "small", "input": (3, 32, 32), "classes": 10}
    return ResNet(block, (depth,) * 3, params, macs, **{**columns, **change})  # type: ignore[arg-type]


_50 = ResNet(bottleneck, (3, 4, 6, 3), 25_557_032, 4_089_184_256)
_x29 = {"width": 64, "base": 64, "shortcut": "projection"}

TABLE = {  #                    block  conv2_x..conv5_x  parameters  multiply-adds
    "tv:resnet18": ResNet(basic, (2, 2, 2, 2), 11_689_512, 1_814_073_344),
    "tv:resnet34": ResNet(basic, (3, 4, 6, 3), 21_797_672, 3_663_761_408),
    "tv:resnet50": _50,
    "timm:resnet50": _50,
    "tv:resnet101": ResNet(bottleneck, (3, 4, 23, 3), 44_549_160, 7_801_405_440),
    "tv:resnet152": ResNet(bottleneck, (3, 8, 36, 3), 60_192_808, 11_513_626_624),
}
