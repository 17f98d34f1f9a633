"""MobileNet v3, arXiv:1905.02244 tables 1 and 2: found by search, with gates and hard swish.

x_BCHW -> conv 3x3 (H/2) -> inverted residuals (to H/32) -> conv 1x1 -> mean over HW -> fc ->
logits_BK
"""

from dataclasses import dataclass
from functools import partial

from torch import nn

from ._columns import Count, Factor, Share, Stem
from ._network import Network
from ._parts import Added, SqueezeExcite, conv_bn, he_init, relu, round_width
from ._row import Row

hardswish = partial(nn.Hardswish, inplace=True)
slow_bn = partial(conv_bn, eps=1e-3, momentum=0.01)  # section 6.1.1 has 0.01 too

Block = tuple[
    Count, Count, Count, bool, bool, Count
]  # kernel, widened, maps, gate, hard swish, stride
LARGE: tuple[Block, ...] = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
SMALL: tuple[Block, ...] = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


@dataclass(frozen=True)
class MobileNetV3(Row):
    """Every width of `blocks` times `width`, rounded to a multiple of eight.

    >>> MobileNetV3(0, 0, ((3, 16, 8, True, False, 2),), 32).make(10).stages
    ('stem', 'block1', 'conv')
    """

    blocks: tuple[Block, ...]
    hidden: Count
    width: Factor = 1.0
    stem: Stem = "imagenet"
    dropout: Share = 0.2
    family = "MobileNet v3"
    paper = "arXiv:1905.02244"
    names = ("features.* classifier.#",)
    small = {"stem": "small"}
    thin = {"width": 0.25, "hidden": 32, "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin = round_width(16 * self.width)
        stride = 1 if self.stem == "small" else 2
        stem = slow_bn(channels, cin, 3, stride, act=hardswish)
        stages: dict[str, nn.Module] = {"stem": stem}
        for i, block in enumerate(self.blocks, 1):
            stages[f"block{i}"] = _block(cin, block, self.width)
            cin = round_width(block[2] * self.width)
        stages["conv"] = slow_bn(cin, 6 * cin, 1, act=hardswish)
        layers = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6 * cin, self.hidden)]
        layers += [hardswish(), nn.Dropout(self.dropout), nn.Linear(self.hidden, classes)]
        return he_init(Network(stages, nn.Sequential(*layers), channels))


def _block(cin: int, block: Block, times: float) -> nn.Module:
    size, mid, cout, gate, swish, stride = block
    mid, cout = round_width(mid * times), round_width(cout * times)
    conv = partial(slow_bn, act=hardswish if swish else relu)
    layers: list[nn.Module] = [conv(cin, mid, 1)] if mid != cin else []
    layers.append(conv(mid, mid, size, stride, groups=mid))
    if gate:
        layers.append(SqueezeExcite(mid, round_width(mid // 4), nn.Hardsigmoid))
    layers.append(slow_bn(mid, cout, 1, act=None))
    inner = nn.Sequential(*layers)
    return Added(inner) if stride == 1 and cin == cout else inner


TABLE = {  #              parameters  multiply-adds  blocks  fc
    "tv:mobilenet_v3_large": MobileNetV3(
        5_483_032, 216_589_760, LARGE, 1280, top1=(74.042, "IMAGENET1K_V1")
    ),
    "tv:mobilenet_v3_small": MobileNetV3(
        2_542_856, 56_510_400, SMALL, 1024, top1=(67.668, "IMAGENET1K_V1")
    ),
}
