"""MobileNet v2, arXiv:1801.04381 table 2: inverted residuals with linear bottlenecks.

x_BCHW -> conv 3x3 (H/2) -> seven groups of blocks (to H/32) -> conv 1x1 -> mean over HW ->
logits_BK
A block widens by 1x1, filters each map alone by 3x3, and narrows by 1x1 without an activation: ReLU
in a narrow layer would throw information away.
"""

from dataclasses import dataclass

from torch import nn

from ._columns import Factor, Share, Stem
from ._network import Network
from ._parts import Added, conv_bn, he_init, pooled_head, relu6, round_width
from ._row import Row

GROUPS = (  # expansion, maps, blocks, stride of the first
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


@dataclass(frozen=True)
class MobileNetV2(Row):
    """Every width of the table times `width`, rounded to a multiple of eight.

    >>> MobileNetV2(0, 0, width=0.35).make(10).get_submodule("stem.conv").out_channels
    16
    """

    width: Factor
    stem: Stem = "imagenet"
    dropout: Share = 0.2
    family = "MobileNet v2"
    paper = "arXiv:1801.04381"
    names = (
        "features.* classifier.#",
        "conv_stem bn1 blocks.0.0.(conv_dw conv_pw bn#) blocks.#.#.(conv_pw conv_dw conv_pwl bn#) "
        "conv_head bn2 classifier",  # timm
    )
    small = {"stem": "small"}
    thin = {"width": 0.25, "stem": "small"}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        cin = round_width(32 * self.width)
        first = 1 if self.stem == "small" else 2
        stages: dict[str, nn.Module] = {"stem": conv_bn(channels, cin, 3, first, act=relu6)}
        for i, (expansion, maps, depth, stride) in enumerate(GROUPS, 1):
            cout = round_width(maps * self.width)
            blocks = []
            for place in range(depth):
                blocks.append(_block(cin, cout, cin * expansion, stride if place == 0 else 1))
                cin = cout
            stages[f"group{i}"] = nn.Sequential(*blocks)
        last = round_width(1280 * max(1.0, self.width))
        stages["conv"] = conv_bn(cin, last, 1, act=relu6)
        return he_init(Network(stages, pooled_head(last, classes, self.dropout), channels))


def _block(cin: int, cout: int, mid: int, stride: int) -> nn.Module:
    widen = [conv_bn(cin, mid, 1, act=relu6)] if mid != cin else []
    depthwise = conv_bn(mid, mid, 3, stride, groups=mid, act=relu6)
    block = nn.Sequential(*widen, depthwise, conv_bn(mid, cout, 1, act=None))
    return Added(block) if stride == 1 and cin == cout else block


TABLE = {  #                        parameters  multiply-adds  width
    "tv:mobilenet_v2": MobileNetV2(3_504_872, 300_774_272, 1.0, top1=(71.878, "IMAGENET1K_V1")),
    "timm:mobilenetv2_050": MobileNetV2(1_968_680, 97_131_840, 0.5, top1=(65.928, "lamb_in1k")),
    "timm:mobilenetv2_075": MobileNetV2(2_636_424, 209_069_792, 0.75),
    "timm:mobilenetv2_100": MobileNetV2(3_504_872, 300_774_272, 1.0, top1=(72.910, "ra_in1k")),
    "timm:mobilenetv2_140": MobileNetV2(6_108_776, 582_195_824, 1.4, top1=(76.528, "ra_in1k")),
}
