"""A thin ResNet of ten layers, arXiv:1512.03385: a body for seeing tasks that trains on two cores.

x_BCHW -> stem (H/4) -> four stages of one basic block (H/4, H/8, H/16, H/32) -> mean -> logits_BK
"""

from .resnet import ResNet

TABLE = {
    "resnet10_w32": ResNet(
        1_232_810, 46_230_016, "basic", (1, 1, 1, 1), width=32, input=(3, 96, 96), classes=10
    ),
}  # fmt: skip
