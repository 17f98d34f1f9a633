"""GoogLeNet, arXiv:1409.4842 table 1: modules look through 1x1, 3x3, 5x5 and a pool at once.

x_BCHW -> stem (H/8) -> inception 3a, 3b (H/8), 4a-4e (H/16), 5a, 5b (H/32) -> mean over HW ->
logits_BK; while training two auxiliary heads after 4a and 4d, their losses weighted 0.3
torchvision's has batch norm and, by an old mistake, 3x3 where the paper has 5x5; the paper's rows
have neither, and response normalisation in the stem: the paper gives no constants, these are those
of the weights that were published (alpha = 1e-4 shared by the five maps, k = 1).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..nn.response_norm import response_norm_of
from ._columns import Count, Share, Stem
from ._inception import Style, branch, conv, mixed, rescaled
from ._names import Named
from ._network import Network
from ._parts import he_init, pooled_head
from ._row import Row

MODULES = {  # 1x1, reduce 3x3, 3x3, reduce 5x5, 5x5, pool projection
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True)
class GoogLeNet(Row):
    """`large` is the kernel of the third branch; `scale` divides every width of the modules.

    `transform_input`: images standardised by ImageNet's mean and spread are brought to -1..1, which
    torchvision's published weights were trained on; it says nothing to other than three channels.

    >>> list(GoogLeNet(0, 0, scale=16).make(10).aux)
    ['inception4a', 'inception4d']
    """

    norm: bool = False
    large: Literal[3, 5] = 5
    aux: bool = True
    response: bool = True  # response normalisation, only without batch norm
    scale: Count = 1
    stem: Stem = "imagenet"
    dropout: Share = 0.4
    dropout_aux: Share = 0.7
    transform_input: bool = False
    family = "GoogLeNet/Inception v1"
    paper = "arXiv:1409.4842"
    names = (
        Named(
            "torchvision",
            "conv#.* inception#@.* aux#.* fc",
            published={"transform_input": True},
        ),
    )
    small = {"stem": "small"}
    thin = {"scale": 4, "dropout_aux": 0.0}
    thin_size = 80  # the auxiliary heads' 5x5 pool must fit

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        style = Style(norm=self.norm, bias=not self.norm, scale=self.scale)
        stages, cin = _stem(channels, self, style)
        stages["conv1"] = rescaled(stages["conv1"], channels, self.transform_input)
        aux: dict[str, nn.Sequential] = {}
        for name, widths in MODULES.items():
            if name in ("4a", "5a"):  # the pools that halve H and W stand before these
                size = 2 if name == "5a" and self.norm else 3
                stages[f"pool{int(name[0]) - 1}"] = nn.MaxPool2d(size, 2, ceil_mode=True)
            a, b, c, d, e, f = widths
            third = f"1x1 {d} > {self.large}x{self.large} {e}"
            text = f"1x1 {a} ; 1x1 {b} > 3x3 {c} ; {third} ; max > 1x1 {f}"
            stages[f"inception{name}"], cin = mixed(cin, text, style)
            if self.aux and name in ("4a", "4d"):
                aux[f"inception{name}"] = _aux_head(cin, classes, self, style)
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels, aux=aux))


def _stem(channels: int, row: GoogLeNet, style: Style) -> tuple[OrderedDict[str, nn.Module], int]:
    """7x7 stride 2, pool, 1x1, 3x3, pool: H/8; "small" keeps H."""
    small = row.stem == "small"
    pool = [] if small else [nn.MaxPool2d(3, 2, ceil_mode=True)]
    norm = [response_norm_of("caffe", k=1.0)] if row.response and not row.norm else []
    first, narrow = conv(channels, "3x3 64" if small else "7x7 64 /2", style)
    second, wide = branch(narrow, "1x1 64 > 3x3 192", style)
    first.extend([*pool, *norm])
    second.extend([*norm, *pool])
    return OrderedDict(conv1=first, conv2=second), wide


def _aux_head(cin: int, classes: int, row: GoogLeNet, style: Style) -> nn.Sequential:
    """The paper pools 5x5 with stride 3 (14 -> 4); the pooling to 4x4 lets other sizes in."""
    hidden = 1024 // row.scale
    pools = [nn.AdaptiveAvgPool2d(4)] if row.norm else [nn.AvgPool2d(5, 3), nn.AdaptiveAvgPool2d(4)]
    narrow, width = conv(cin, "1x1 128", style)
    layers = [*pools, narrow, nn.Flatten()]
    layers += [nn.Linear(16 * width, hidden), nn.ReLU(inplace=True), nn.Dropout(row.dropout_aux)]
    return nn.Sequential(*layers, nn.Linear(hidden, classes))


TABLE = {  #                      parameters  multiply-adds
    "tv:googlenet": GoogLeNet(
        13_004_888,
        1_498_376_192,
        aux_params=6_379_984,
        norm=True,
        large=3,
        dropout=0.2,
        top1=(69.778, "IMAGENET1K_V1"),
    ),
    "paper:inception_v1_nobn_aux": GoogLeNet(13_378_280, 1_582_671_872, aux_params=6_379_728),
    "paper:inception_v1_nobn": GoogLeNet(6_998_552, 1_582_671_872, aux=False),
}
