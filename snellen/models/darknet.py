"""Darknet-19, arXiv:1612.08242 table 6, and Darknet-53, arXiv:1804.02767 table 1: YOLO's bodies.

x_BCHW -> conv 3x3 -> stages, each starts by halving H and W -> mean over HW -> logits_BK
19: stages of 3x3 and 1x1 in turn after a max pool. 53: residual pairs (1x1, 3x3) after a 3x3 of
stride 2. The leak is 0.1 in the papers; timm's darknet53 has PyTorch's 0.01.
"""

from dataclasses import dataclass
from functools import partial

from torch import nn

from ._columns import Count, Share
from ._names import Named
from ._network import Network
from ._parts import Added, conv_bn, conv_head, he_init, pooled_head
from ._row import Row


@dataclass(frozen=True)
class Darknet(Row):
    """`depths`: convolutions of a stage (plain), or residual pairs (residual).

    >>> Darknet(0, 0, True, (1, 2), width=4).make(10).stages
    ('stem', 'stage1', 'stage2')
    """

    residual: bool
    depths: tuple[Count, ...]
    width: Count = 32
    slope: Share = 0.1
    family = "Darknet"
    paper = "arXiv:1804.02767"
    names = (
        Named("timm", "stem.conv1.* stages.#.(conv_down.* blocks.#.*) head.fc", {"slope": 0.01}),
    )
    thin = {"width": 4}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stages: dict[str, nn.Module] = {"stem": _conv(channels, self.width, 3, self)}
        for i, depth in enumerate(self.depths, 1):
            stage = _residual_stage if self.residual else _plain_stage
            stages[f"stage{i}"] = stage(self.width << (i - 1), depth, self)
        cin = self.width << len(self.depths)
        head = pooled_head if self.residual else conv_head
        return he_init(Network(stages, head(cin, classes), channels))


def detector_body(
    channels: int, residual: bool, depths: tuple[int, ...], width: int, stem: str
) -> tuple[dict[str, nn.Module], int]:
    """Stages of a detector that ends in a map, and the pixels a cell of its last one is wide.

    `stem` "halving" is one convolution of 6x6 and stride 2 in place of the paper's first.
    """
    body = Darknet(0, 0, residual, depths, width=width).build(1, channels)
    stages = {name: getattr(body, name) for name in body.stages}
    if stem == "halving":
        act = partial(nn.LeakyReLU, 0.1, inplace=True)
        stages["stem"] = conv_bn(channels, width, 6, 2, padding=2, act=act)
    return stages, (1 if stem == "paper" else 2) << len(depths)


def leaky_conv(cin: int, cout: int, size: int) -> nn.Sequential:
    """x_BCHW -> (B, cout, H, W): convolution, batch norm and the paper's leak."""
    return conv_bn(cin, cout, size, act=partial(nn.LeakyReLU, 0.1, inplace=True))


def _conv(cin: int, cout: int, size: int, row: Darknet, stride: int = 1) -> nn.Sequential:
    return conv_bn(cin, cout, size, stride, act=partial(nn.LeakyReLU, row.slope, inplace=True))


def _plain_stage(cin: int, depth: int, row: Darknet) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2), _conv(cin, 2 * cin, 3, row)]
    for i in range(1, depth):
        narrow = _conv(2 * cin, cin, 1, row) if i % 2 else _conv(cin, 2 * cin, 3, row)
        layers.append(narrow)
    return nn.Sequential(*layers)


def _residual_stage(cin: int, depth: int, row: Darknet) -> nn.Sequential:
    cout = 2 * cin
    pairs = [
        Added(nn.Sequential(_conv(cout, cin, 1, row), _conv(cin, cout, 3, row)))
        for _ in range(depth)
    ]
    return nn.Sequential(_conv(cin, cout, 3, row, 2), *pairs)


D53 = (1, 2, 8, 8, 4)

TABLE = {  #                parameters  multiply-adds  residual  depths
    "paper:darknet19": Darknet(
        20_842_376, 2_790_989_824, False, (1, 3, 3, 5, 5), paper="arXiv:1612.08242"
    ),
    "paper:darknet53": Darknet(41_609_928, 9_285_115_904, True, D53, input=(3, 256, 256)),
    "timm:darknet53": Darknet(
        41_609_928,
        9_285_115_904,
        True,
        D53,
        slope=0.01,
        input=(3, 256, 256),
        top1=(80.542, "c2ns_in1k at 288"),
    ),
}
