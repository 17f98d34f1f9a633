"""Wide ResNet, arXiv:1605.07146: ResNet with twice the channels in every bottleneck.

x_BCHW -> ResNet's stem and stages -> logits_BK
"""

from typing import Any

from ._residual import D50, D101
from .resnet import V1, ResNet

WIDE: dict[str, Any] = {
    "block": "bottleneck", "base": 128, "family": "Wide ResNet", "paper": "arXiv:1605.07146"
}  # fmt: skip

TABLE = {
    "tv:wide_resnet50_2": ResNet(68_883_240, 11_398_021_120, depths=D50, top1=(78.468, V1), **WIDE),
    "tv:wide_resnet101_2": ResNet(
        126_886_696, 22_753_050_624, depths=D101, top1=(78.848, V1), **WIDE
    ),
}
