"""ResNeXt, arXiv:1611.05431: ResNet's bottleneck with its 3x3 in many groups ("cardinality").

x_BCHW -> ResNet's stem and stages -> logits_BK. 32x4d are 32 groups of 4 channels in conv2_x.
"""

from typing import Any

from ._residual import D50, D101
from .resnet import SMALL, V1, ResNet

NEXT: dict[str, Any] = {"block": "bottleneck", "family": "ResNeXt", "paper": "arXiv:1611.05431"}

TABLE = {
    "tv:resnext50_32x4d": ResNet(
        25_028_904, 4_230_479_872, depths=D50, groups=32, base=4, top1=(77.618, V1), **NEXT
    ),
    "timm:resnext101_32x4d": ResNet(
        44_177_704, 7_969_996_800, depths=D101, groups=32, base=4, **NEXT,
        top1=(83.268, "fb_swsl_ig1b_ft_in1k"),
    ),
    "tv:resnext101_32x8d": ResNet(
        88_791_336, 16_414_015_488, depths=D101, groups=32, base=8, top1=(79.312, V1), **NEXT
    ),
    "tv:resnext101_64x4d": ResNet(
        83_455_272, 15_460_270_080, depths=D101, groups=64, base=4, top1=(83.246, V1), **NEXT
    ),
    "paper:resnext29_8x64d_cifar": ResNet(
        34_426_698, 5_387_266_048, depths=(3, 3, 3), groups=8, **SMALL, **NEXT
    ),
    "paper:resnext29_16x64d_cifar": ResNet(
        68_155_210, 10_688_866_304, depths=(3, 3, 3), groups=16, **SMALL, **NEXT
    ),
}  # fmt: skip
