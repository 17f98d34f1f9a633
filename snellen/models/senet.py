"""SENet, arXiv:1709.01507: a gate per channel at the end of every residual branch.

x_BCHW -> stem (H/4) -> four stages of gated residual blocks -> mean over HW -> logits_BK
The authors' networks (timm's `legacy_`) came from Caffe: a stem pool that rounds up, and the stride
on the first 1x1 in the SE-ResNets. timm's `seresnet50` and `seresnext50_32x4d` are the later form.
"""

from dataclasses import dataclass

from torch import nn

from ._network import Network
from ._parts import SqueezeExcite, conv_bn, he_init, pooled_head, relu
from ._residual import Residual, bottleneck_branch, skip_over, two_3x3
from ._row import Row


@dataclass(frozen=True)
class SENet(Row):
    """`block` is basic, bottleneck (with groups: ResNeXt's) or double (SENet-154's)."""

    block: str
    depths: tuple[int, ...]
    params: int
    macs: int
    groups: int = 1
    base: int = 64
    width: int = 64
    reduction: int = 16
    stride_on: str = "3x3"
    pool: str = "ceil"  # the stem's: "ceil" rounds up as Caffe does, "pad" is PyTorch's usual
    relu_before_gate: bool = False  # timm's basic block has a ReLU there, the paper has none
    dropout: float = 0.0
    stem: str = "imagenet"
    family = "SENet"
    paper = "arXiv:1709.01507"
    names = (
        "layer0.* layer#.#.(conv# bn# se_module.fc# downsample.#) last_linear",  # legacy_
        "conv1 bn1 layer#.#.(conv# bn# se.fc# downsample.#) fc",
    )
    small = {"stem": "small"}
    thin = {"width": 32, "groups": 1, "base": 64, "stem": "small", "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        stages: dict[str, nn.Module] = {"stem": _stem(channels, self)}
        cin = self.width * (2 if self.block == "double" else 1)
        for stage, depth in enumerate(self.depths):
            blocks = []
            for i in range(depth):
                stride = 2 if stage and i == 0 else 1
                block, cin = _block(cin, self.width << stage, stride, self)
                blocks.append(block)
            stages[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        return he_init(Network(stages, pooled_head(cin, classes, self.dropout), channels))


def _stem(channels: int, row: SENet) -> nn.Sequential:
    if row.block == "double":
        width, first = row.width, 1 if row.stem == "small" else 2
        stem = nn.Sequential(
            conv_bn(channels, width, 3, first),
            conv_bn(width, width, 3),
            conv_bn(width, 2 * width, 3),
        )
    elif row.stem == "small":
        stem = conv_bn(channels, row.width, 3)
    else:
        stem = conv_bn(channels, row.width, 7, 2)
    if row.stem == "small":
        return stem
    ceil = row.pool == "ceil"
    return stem.append(nn.MaxPool2d(3, 2, 0 if ceil else 1, ceil_mode=ceil))


def _block(cin: int, width: int, stride: int, row: SENet) -> tuple[nn.Module, int]:
    cout = width if row.block == "basic" else 4 * width
    if row.block == "basic":
        branch = two_3x3(cin, width, stride)
        branch.extend([relu()] if row.relu_before_gate else [])
    elif row.block == "bottleneck":
        mid, on = width * row.base // 64 * row.groups, row.stride_on
        branch = bottleneck_branch(cin, mid, cout, stride, groups=row.groups, stride_on=on)
    else:
        branch = nn.Sequential(
            conv_bn(cin, 2 * width, 1),
            conv_bn(2 * width, 4 * width, 3, stride, groups=row.groups),
            conv_bn(4 * width, cout, 1, act=None),
        )
    branch.append(SqueezeExcite(cout, cout // row.reduction))
    skip = skip_over(cin, cout, stride)
    if row.block == "double" and stride == 2:
        skip = conv_bn(cin, cout, 3, 2, act=None)
    return Residual(branch, skip), cout


D50, D101, D152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)

TABLE = {  #                                 block conv2_x..conv5_x parameters multiply-adds
    "timm:legacy_seresnet18": SENet(
        "basic", (2, 2, 2, 2), 11_778_592, 1_814_160_384, relu_before_gate=True
    ),
    "timm:legacy_seresnet34": SENet("basic", D50, 21_958_868, 3_663_918_592, relu_before_gate=True),
    "timm:legacy_seresnet50": SENet("bottleneck", D50, 28_088_024, 3_860_488_192, stride_on="1x1"),
    "timm:legacy_seresnet101": SENet(
        "bottleneck", D101, 49_326_872, 7_574_937_600, stride_on="1x1"
    ),
    "timm:legacy_seresnet152": SENet(
        "bottleneck", D152, 66_821_848, 11_288_993_792, stride_on="1x1"
    ),
    "timm:legacy_seresnext50_32x4d": SENet(
        "bottleneck", D50, 27_559_896, 4_232_994_816, groups=32, base=4
    ),
    "timm:legacy_seresnext101_32x4d": SENet(
        "bottleneck", D101, 48_955_416, 7_974_739_968, groups=32, base=4
    ),
    "timm:legacy_senet154": SENet(
        "double", D152, 115_088_984, 20_688_363_520, groups=64, dropout=0.2
    ),
    "timm:seresnet50": SENet("bottleneck", D50, 28_088_024, 4_091_699_200, pool="pad"),
    "timm:seresnext50_32x4d": SENet(
        "bottleneck", D50, 27_559_896, 4_232_994_816, groups=32, base=4, pool="pad"
    ),
}
