"""Inception v4, arXiv:1602.07261 figures 3 to 9: one regular design, no auxiliary head.

x_BCHW -> stem (35x35 of 299) -> 4 A -> reduction (17x17) -> 7 B -> reduction (8x8) -> 3 C ->
mean over HW -> logits_BK
"""

from dataclasses import dataclass

from torch import nn

from ._columns import Count, Natural, Share
from ._inception import Style, branch, mixed
from ._network import Network
from ._parts import he_init, pooled_head
from ._row import Row

STEM = (
    "3x3 32 /2 v > 3x3 32 v > 3x3 64",
    "max /2 ; 3x3 96 /2 v",
    "1x1 64 > 3x3 96 v ; 1x1 64 > 1x7 64 > 7x1 64 > 3x3 96 v",
    "3x3 192 /2 v ; max /2",
)
A = "1x1 96 ; 1x1 64 > 3x3 96 ; 1x1 64 > 3x3 96 > 3x3 96 ; avg > 1x1 96"
REDUCE_A = "3x3 384 /2 v ; 1x1 192 > 3x3 224 > 3x3 256 /2 v ; max /2"
B = (
    "1x1 384 ; 1x1 192 > 1x7 224 > 7x1 256 ; "
    "1x1 192 > 7x1 192 > 1x7 224 > 7x1 224 > 1x7 256 ; avg > 1x1 128"
)
REDUCE_B = "1x1 192 > 3x3 192 /2 v ; 1x1 256 > 1x7 256 > 7x1 320 > 3x3 320 /2 v ; max /2"
C = (
    "1x1 256 ; 1x1 384 > (1x3 256 | 3x1 256) ; "
    "1x1 384 > 3x1 448 > 1x3 512 > (1x3 256 | 3x1 256) ; avg > 1x1 256"
)


@dataclass(frozen=True)
class InceptionV4(Row):
    """`depths` modules of kind A, B and C; `scale` divides every width.

    >>> InceptionV4(0, 0, depths=(1, 1, 1), scale=16).make(10).stages[-3:]
    ('b1', 'reduce_b', 'c1')
    """

    depths: tuple[Natural, Natural, Natural] = (4, 7, 3)
    scale: Count = 1
    dropout: Share = 0.2
    input = (3, 299, 299)
    family = "Inception v4"
    paper = "arXiv:1602.07261"
    names = ("features.* last_linear",)
    thin = {"depths": (1, 1, 0), "scale": 4}
    thin_size = 75

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        style = Style(pad_counts=False, scale=self.scale)
        a, b, c = self.depths
        texts = [*STEM, *[A] * a, REDUCE_A, *[B] * b, REDUCE_B, *[C] * c]
        names = ["stem1", "stem2", "stem3", "stem4", *[f"a{i}" for i in range(1, a + 1)]]
        names += ["reduce_a", *[f"b{i}" for i in range(1, b + 1)]]
        names += ["reduce_b", *[f"c{i}" for i in range(1, c + 1)]]
        stages: dict[str, nn.Module] = {}
        cin = channels
        for name, text in zip(names, texts, strict=True):
            part = mixed if ";" in text else branch
            stages[name], cin = part(cin, text, style)
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


TABLE = {"timm:inception_v4": InceptionV4(42_679_816, 12_253_974_624, top1=(80.144, "tf_in1k"))}
