"""SENet, arXiv:1709.01507: a gate per channel at the end of every residual branch.

x_BCHW -> stem (H/4) -> four stages of gated residual blocks -> mean over HW -> logits_BK
The authors' networks (timm's `legacy_`) came from Caffe: a stem pool that rounds up, and the stride
on the first 1x1 in the SE-ResNets. timm's `seresnet50` and `seresnext50_32x4d` are the later form.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from ._columns import Count, Share, Stem, StrideOn
from ._names import Named
from ._network import Network
from ._parts import SqueezeExcite, conv_bn, he_init, image_stem, pooled_head, relu
from ._residual import (
    D50,
    D101,
    D152,
    Residual,
    bottleneck,
    refuse_idle,
    residual_stages,
    skip_over,
    two_3x3,
)
from ._row import Row


@dataclass(frozen=True)
class SENet(Row):
    """`block` is basic, bottleneck (with groups: ResNeXt's) or double (SENet-154's).

    >>> SENet(0, 0, "basic", (1, 1), width=32).make(10).stages
    ('stem', 'layer1', 'layer2')
    """

    block: Literal["basic", "bottleneck", "double"]
    depths: tuple[Count, ...]
    groups: Count = 1
    base: Count = 64
    width: Count = 64
    reduction: Count = 16
    stride_on: StrideOn = "3x3"
    pool: Literal["ceil", "pad"] = (
        "ceil"  # the stem's: "ceil" rounds up as Caffe does, "pad" is PyTorch's usual
    )
    relu_before_gate: bool = False  # timm's basic block has a ReLU there, the paper has none
    dropout: Share = 0.0
    stem: Stem = "imagenet"
    family = "SENet"
    paper = "arXiv:1709.01507"
    names = (
        Named(
            "timm's legacy_",
            "layer0.* layer#.#.(conv# bn# se_module.fc# downsample.#) last_linear",
            {"pool": "ceil"},
        ),
        Named("timm", "conv1 bn1 layer#.#.(conv# bn# se.fc# downsample.#) fc", {"pool": "pad"}),
    )
    small = {"stem": "small"}
    thin = {"width": 32, "reduction": 4, "stem": "small", "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        if self.block == "basic":
            refuse_idle(self, "groups", "base", "stride_on")
        cin = self.width * (2 if self.block == "double" else 1)
        stages, cin = residual_stages(partial(_block, row=self), self.width, self.depths, cin=cin)
        head = pooled_head(cin, classes, self.dropout)
        return he_init(Network({"stem": _stem(channels, self), **stages}, head, channels))


def _stem(channels: int, row: SENet) -> nn.Sequential:
    width, ceil, size = row.width, row.pool == "ceil", 3 if row.block == "double" else 7
    stem = image_stem(channels, width, row.stem, size=size, ceil=ceil)
    if row.block == "double":  # two more 3x3 before the pool
        more = (conv_bn(width, width, 3), conv_bn(width, 2 * width, 3))
        stem = nn.Sequential(stem[:3], *more, *list(stem)[3:])
    return stem


def _block(cin: int, width: int, stride: int, row: SENet) -> tuple[nn.Module, int]:
    cout = width if row.block == "basic" else 4 * width
    if row.block == "basic":
        branch = two_3x3(cin, width, stride)
        branch.extend([relu()] if row.relu_before_gate else [])
    elif row.block == "bottleneck":
        inner = width * row.base // 64 * row.groups
        branch = bottleneck(cin, inner, cout, stride, groups=row.groups, on=row.stride_on)
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


OLD: dict[str, Any] = {"stride_on": "1x1"}
NEXT: dict[str, Any] = {"groups": 32, "base": 4}
IN1K = "in1k"

TABLE = {  #   parameters  multiply-adds  block  conv2_x..conv5_x
    "timm:legacy_seresnet18": SENet(
        11_778_592, 1_814_160_384, "basic", (2, 2, 2, 2), relu_before_gate=True, top1=(71.742, IN1K)
    ),
    "timm:legacy_seresnet34": SENet(
        21_958_868, 3_663_918_592, "basic", D50, relu_before_gate=True, top1=(74.788, IN1K)
    ),
    "timm:legacy_seresnet50": SENet(
        28_088_024, 3_860_488_192, "bottleneck", D50, top1=(77.650, IN1K), **OLD
    ),
    "timm:legacy_seresnet101": SENet(
        49_326_872, 7_574_937_600, "bottleneck", D101, top1=(78.370, IN1K), **OLD
    ),
    "timm:legacy_seresnet152": SENet(
        66_821_848, 11_288_993_792, "bottleneck", D152, top1=(78.662, IN1K), **OLD
    ),
    "timm:legacy_seresnext50_32x4d": SENet(
        27_559_896, 4_232_994_816, "bottleneck", D50, top1=(79.080, IN1K), **NEXT
    ),
    "timm:legacy_seresnext101_32x4d": SENet(
        48_955_416, 7_974_739_968, "bottleneck", D101, top1=(80.274, IN1K), **NEXT
    ),
    "timm:legacy_senet154": SENet(
        115_088_984, 20_688_363_520, "double", D152, groups=64, dropout=0.2, top1=(81.320, IN1K)
    ),
    "timm:seresnet50": SENet(
        28_088_024, 4_091_699_200, "bottleneck", D50, pool="pad", top1=(81.288, "ra2_in1k at 288")
    ),
    "timm:seresnext50_32x4d": SENet(
        27_559_896, 4_232_994_816, "bottleneck", D50, pool="pad", **NEXT,
        top1=(82.186, "racm_in1k at 288"),
    ),
}  # fmt: skip
