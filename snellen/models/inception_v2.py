"""Inception v2 (BN-Inception), arXiv:1502.03167 figure 5; with gates arXiv:1709.01507.

x_BCHW -> stem (H/8) -> inception 3a-3c (H/8), 4a-4e (H/16), 5a, 5b (H/32) -> mean over HW ->
logits_BK
GoogLeNet with two 3x3 for each 5x5 and a norm after each convolution. The widths are those of the
weights that were published; the paper's figure has 96 in the pools of 4c and 4d.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ._columns import Count, Natural, Share, Stem
from ._inception import Style, branch, mixed
from ._network import Network
from ._parts import SqueezeExcite, he_init, pooled_head
from ._row import Row

STEMS = {
    "imagenet": "7x7 64 /2 > max /2 > 1x1 64 > 3x3 192 > max /2",
    "small": "3x3 64 > 1x1 64 > 3x3 192",
}
Module = Literal["3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
MODULES: dict[Module, str] = {
    "3a": "1x1 64 ; 1x1 64 > 3x3 64 ; 1x1 64 > 3x3 96 > 3x3 96 ; avg > 1x1 32",
    "3b": "1x1 64 ; 1x1 64 > 3x3 96 ; 1x1 64 > 3x3 96 > 3x3 96 ; avg > 1x1 64",
    "3c": "1x1 128 > 3x3 160 /2 ; 1x1 64 > 3x3 96 > 3x3 96 /2 ; max /2",
    "4a": "1x1 224 ; 1x1 64 > 3x3 96 ; 1x1 96 > 3x3 128 > 3x3 128 ; avg > 1x1 128",
    "4b": "1x1 192 ; 1x1 96 > 3x3 128 ; 1x1 96 > 3x3 128 > 3x3 128 ; avg > 1x1 128",
    "4c": "1x1 160 ; 1x1 128 > 3x3 160 ; 1x1 128 > 3x3 160 > 3x3 160 ; avg > 1x1 128",
    "4d": "1x1 96 ; 1x1 128 > 3x3 192 ; 1x1 160 > 3x3 192 > 3x3 192 ; avg > 1x1 128",
    "4e": "1x1 128 > 3x3 192 /2 ; 1x1 192 > 3x3 256 > 3x3 256 /2 ; max /2",
    "5a": "1x1 352 ; 1x1 192 > 3x3 320 ; 1x1 160 > 3x3 224 > 3x3 224 ; avg > 1x1 128",
    "5b": "1x1 352 ; 1x1 192 > 3x3 320 ; 1x1 192 > 3x3 224 > 3x3 224 ; max > 1x1 128",
}


@dataclass(frozen=True)
class InceptionV2(Row):
    """`bias` as in the Caffe weights; `modules` lets one leave some out; `scale` divides widths.

    >>> InceptionV2(0, 0, modules=("3a", "3c"), scale=8).make(10).stages
    ('stem', 'inception3a', 'inception3c')
    """

    bias: bool = False
    reduction: Natural = 0  # of a gate after each module; 0: none
    modules: tuple[Module, ...] = tuple(MODULES)
    scale: Count = 1
    stem: Stem = "imagenet"
    dropout: Share = 0.0
    family = "Inception v2 (BN-Inception)"
    paper = "arXiv:1502.03167"
    small = {"stem": "small"}
    thin = {"modules": ("3a", "3c", "4e"), "scale": 4}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        style = Style(bias=self.bias, eps=1e-5, ceil=True, scale=self.scale)
        stem, cin = branch(channels, STEMS[self.stem], style)
        stages: dict[str, nn.Module] = {"stem": stem}
        for name in self.modules:
            module, cin = mixed(cin, MODULES[name], style)
            stages[f"inception{name}"] = module
            if self.reduction:
                gate = SqueezeExcite(cin, cin // self.reduction)
                stages[f"inception{name}"] = nn.Sequential(module, gate)
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


TABLE = {  #                                     parameters  multiply-adds
    "paper:inception_v2_bn": InceptionV2(
        11_285_224, 2_032_600_064, top1=(73.9, "TF-Slim README, Inception V2")
    ),
    "paper:inception_v2_bn_convbias": InceptionV2(11_295_240, 2_032_600_064, bias=True),
    "paper:se_inception_v2": InceptionV2(
        11_931_622, 2_033_239_424, reduction=16, family="SE-BN-Inception", paper="arXiv:1709.01507"
    ),
}
