"""Inception v3, arXiv:1512.00567 table 1: a 7x7 becomes 1x7 and 7x1, a 3x3 becomes 1x3 and 3x1.

x_BCHW -> stem (35x35 of 299) -> 5b-5d -> 6a-6e (17x17) -> 7a-7c (8x8) -> mean over HW -> logits_BK
while training one auxiliary head after 6e. No padding in the stem and where the size halves.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ._columns import Count, Share
from ._inception import STEM, Style, branch, conv, mixed, rescaled
from ._names import Named
from ._network import Network
from ._parts import he_init, pooled_head
from ._row import Row

_A = "1x1 64 ; 1x1 48 > 5x5 64 ; 1x1 64 > 3x3 96 > 3x3 96 ; avg > 1x1 {0}"
_C = (
    "1x1 192 ; 1x1 {0} > 1x7 {0} > 7x1 192 ; "
    "1x1 {0} > 7x1 {0} > 1x7 {0} > 7x1 {0} > 1x7 192 ; avg > 1x1 192"
)
_E = (
    "1x1 320 ; 1x1 384 > (1x3 384 | 3x1 384) ; "
    "1x1 448 > 3x3 384 > (1x3 384 | 3x1 384) ; avg > 1x1 192"
)
Module = Literal["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"]
MODULES: dict[Module, str] = {
    "5b": _A.format(32),
    "5c": _A.format(64),
    "5d": _A.format(64),
    "6a": "3x3 384 /2 v ; 1x1 64 > 3x3 96 > 3x3 96 /2 v ; max /2",
    "6b": _C.format(128),
    "6c": _C.format(160),
    "6d": _C.format(160),
    "6e": _C.format(192),
    "7a": "1x1 192 > 3x3 320 /2 v ; 1x1 192 > 1x7 192 > 7x1 192 > 3x3 192 /2 v ; max /2",
    "7b": _E,
    "7c": _E,
}
NAMES = (
    "Conv2d_* Mixed_#@.(branch1x1.* branch5x5_* branch3x3.* branch3x3_* branch7x7_* "
    "branch7x7x3_* branch3x3dbl_* branch7x7dbl_* branch_pool.*) {}fc"
)


@dataclass(frozen=True)
class InceptionV3(Row):
    """`modules` lets one leave some out; `scale` divides every width.

    `transform_input`: images standardised by ImageNet's mean and spread are brought to -1..1, which
    torchvision's published weights were trained on; it says nothing to other than three channels.

    >>> InceptionV3(0, 0, modules=("5b", "6a"), scale=8, aux=False).make(10).stages
    ('stem', 'mixed5b', 'mixed6a')
    """

    aux: bool = True
    modules: tuple[Module, ...] = tuple(MODULES)
    scale: Count = 1
    dropout: Share = 0.5
    transform_input: bool = False
    input = (3, 299, 299)
    family = "Inception v3"
    paper = "arXiv:1512.00567"
    names = (
        Named("timm", NAMES.format("")),
        Named("torchvision", NAMES.format("AuxLogits.* "), published={"transform_input": True}),
    )
    thin = {"modules": ("5b", "6e", "7a"), "scale": 8}
    thin_size = 155  # without 6a; the auxiliary head needs 17x17 after 6e

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        style = Style(scale=self.scale)
        stem, cin = branch(channels, STEM, style)
        stages: dict[str, nn.Module] = {"stem": rescaled(stem, channels, self.transform_input)}
        aux: dict[str, nn.Sequential] = {}
        for name in self.modules:
            stages[f"mixed{name}"], cin = mixed(cin, MODULES[name], style)
            if self.aux and name == "6e":
                aux["mixed6e"] = _aux_head(cin, classes, style)
        head = pooled_head(cin, classes, self.dropout)
        return he_init(Network(stages, head, channels, aux=aux, aux_weight=0.4))  # TF-Slim's


def _aux_head(cin: int, classes: int, style: Style) -> nn.Sequential:
    narrow, cmid = conv(cin, "1x1 128", style)
    wide, cout = conv(cmid, "5x5 768 v", style)
    layers = OrderedDict(shrink=nn.AvgPool2d(5, 3), narrow=narrow, wide=wide)
    return nn.Sequential(OrderedDict(**layers, **pooled_head(cout, classes)._modules))


TABLE = {  #        parameters  multiply-adds
    "tv:inception_v3": InceptionV3(
        27_161_264,
        5_713_216_096,
        aux_params=3_326_696,
        top1=(77.294, "IMAGENET1K_V1"),
    ),
    "timm:inception_v3": InceptionV3(
        23_834_568, 5_713_216_096, aux=False, top1=(78.806, "gluon_in1k")
    ),
}
