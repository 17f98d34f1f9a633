"""A thin ResNet of eight layers, arXiv:1512.03385: a body of seeing tasks, quick on two cores.

x_BCHW -> stem (H/4) -> three stages of one basic block (H/4, H/8, H/16) -> mean -> logits_BK
"""

from .resnet import ResNet

TABLE = {
    "resnet8_w32": ResNet(
        312_490, 37_971_200, "basic", (1, 1, 1), width=32, input=(3, 96, 96), classes=10
    ),
}  # fmt: skip
