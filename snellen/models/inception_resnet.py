"""Inception-ResNet v2, arXiv:1602.07261 figures 10 to 15: inception modules as residual branches.

x_BCHW -> stem, 5b (35x35 of 299) -> 10 A -> reduction (17x17) -> 20 B -> reduction (8x8) -> 10 C ->
conv 1x1 -> mean over HW -> logits_BK
The branch is scaled before it is added, or the widest networks die early in training. As in the
published weights: the stem of Inception v3, and the last C neither scaled nor rectified.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ._columns import Count, Natural, Share
from ._inception import STEM, Style, branch, mixed
from ._network import Network
from ._parts import he_init, pooled_head
from ._row import Row

M5B = "1x1 96 ; 1x1 48 > 5x5 64 ; 1x1 64 > 3x3 96 > 3x3 96 ; avg > 1x1 64"
A = "1x1 32 ; 1x1 32 > 3x3 32 ; 1x1 32 > 3x3 48 > 3x3 64"
REDUCE_A = "3x3 384 /2 v ; 1x1 256 > 3x3 256 > 3x3 384 /2 v ; max /2"
B = "1x1 192 ; 1x1 128 > 1x7 160 > 7x1 192"
REDUCE_B = (
    "1x1 256 > 3x3 384 /2 v ; 1x1 256 > 3x3 288 /2 v ; 1x1 256 > 3x3 288 > 3x3 320 /2 v ; max /2"
)
C = "1x1 192 ; 1x1 192 > 1x3 224 > 3x1 256"


class ScaledResidual(nn.Module):
    """x_BCHW -> relu(x + scale * conv1x1(branches(x))), not rectified where `last`.

    >>> import torch
    >>> ScaledResidual(8, "1x1 4 ; 3x3 4", Style(), scale=0.1)(torch.zeros(2, 8, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(
        self, channels: int, text: str, style: Style, *, scale: float, last: bool = False
    ) -> None:
        super().__init__()
        self.branches, width = mixed(channels, text, style)
        self.conv = nn.Conv2d(width, channels, 1)
        self.scale = scale
        self.act = nn.Identity() if last else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the same shape."""
        return self.act(x + self.scale * self.conv(self.branches(x)))


@dataclass(frozen=True)
class InceptionResNetV2(Row):
    """`depths` residual modules of kind A, B and C, times `scales`; `scale` divides every width.

    >>> InceptionResNetV2(0, 0, depths=(1, 1, 1), scale=16).make(10).stages[-3:]
    ('reduce_b', 'c', 'conv')
    """

    depths: tuple[Natural, Natural, Natural] = (10, 20, 9)
    scales: tuple[float, float, float] = (0.17, 0.10, 0.20)
    scale: Count = 1
    dropout: Share = 0.2
    input = (3, 299, 299)
    family = "Inception-ResNet v2"
    paper = "arXiv:1602.07261"
    names = (
        "conv2d_1a.* conv2d_2a.* conv2d_2b.* conv2d_3b.* conv2d_4a.* mixed_5b.* repeat.* "
        "mixed_6a.* repeat_1.* mixed_7a.* repeat_2.* block8.* conv2d_7b.* classif",
    )
    thin = {"depths": (1, 1, 0), "scale": 4}
    thin_size = 75

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stages: dict[str, nn.Module] = {}
        style = Style(pad_counts=False, scale=self.scale)
        stages["stem"], cin = branch(channels, STEM, style)
        reductions = (M5B, REDUCE_A, REDUCE_B)
        for i, (reduction, text) in enumerate(zip(reductions, (A, B, C), strict=True)):
            stages[("mixed5b", "reduce_a", "reduce_b")[i]], cin = mixed(cin, reduction, style)
            stages["abc"[i]] = nn.Sequential(*(
                ScaledResidual(cin, text, style, scale=self.scales[i])
                for _ in range(self.depths[i])
            ))  # fmt: skip
        last = ScaledResidual(cin, C, style, scale=1.0, last=True)
        stages["c"].append(last)  # type: ignore[operator]
        stages["conv"], cin = branch(cin, "1x1 1536", style)
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


TABLE = {"timm:inception_resnet_v2": InceptionResNetV2(
    55_843_464, 13_155_794_016, top1=(80.434, "tf_in1k")
)}  # fmt: skip
