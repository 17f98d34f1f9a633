"""OpenPose, arXiv:1611.08050 (Cao 2017): where each joint is and which way each limb runs.

x_BCHW -> a body's map F -> stages, each two branches over F and what the stage before said
       -> for each stage (B, 2 L + K + 1, H, W), as `sn.nn.PoseMaps` reads them
The body is VGG-19's first ten convolutions and two that narrow them; a cell is 8 pixels wide. The
small network's is Darknet's: it sees further at less cost, and its cells are 4 pixels wide.
`classes` are joints; COCO's 18 are those of its people and the neck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError
from ._columns import Count
from ._network import Network
from ._parts import conv_bn, conv_relu
from ._row import Row
from .darknet import Darknet

LEAKY = partial(nn.LeakyReLU, 0.1, inplace=True)


@dataclass(frozen=True)
class OpenPose(Row):
    """`depths` and `widths` are VGG's, or `depths` and the first of `widths` Darknet's.

    `first` and `later` are the convolutions of a branch: how many, kernel, then the 1x1's width.

    >>> net = OpenPose(0, 0, limbs=4, stages=2, width=8, widths=(8, 8, 8, 8)).make(5)
    >>> [list(said.shape) for said in net(torch.zeros(1, 3, 32, 48))]
    [[1, 14, 4, 6], [1, 14, 4, 6]]
    """

    limbs: Count = 19
    stages: Count = 6
    width: Count = 128
    first: tuple[Count, Count, Count] = (3, 3, 512)
    later: tuple[Count, Count, Count] = (5, 7, 128)
    body: Literal["vgg", "darknet"] = "vgg"
    depths: tuple[Count, ...] = (2, 2, 4, 2)
    widths: tuple[Count, ...] = (64, 128, 256, 512)
    family = "OpenPose"
    paper = "arXiv:1611.08050"
    task = "pose"
    input = (3, 368, 368)
    classes = 18
    thin = {"stages": 2, "width": 8, "first": (1, 3, 8), "later": (1, 3, 8)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> maps of each stage."""
        body = _vgg if self.body == "vgg" else _darknet
        stages, taps = body(self, channels)
        deep = len(self.depths)
        seen = [self.widths[0] << i for i in range(deep - 2, deep + 1)]  # the last three stages'
        head = Stages(self, classes, self.limbs, TopDown(seen, self.width) if taps else None)
        return Network(stages, head, channels, taps=taps)


def _vgg(row: OpenPose, cin: int) -> tuple[dict[str, nn.Module], Sequence[str]]:
    """VGG's blocks, of which all but the first begin with a pooling, and two convolutions more."""
    stages: dict[str, nn.Module] = {}
    for i, (depth, width) in enumerate(zip(row.depths, row.widths, strict=True), 1):
        convs = [conv_relu(cin if j == 0 else width, width, 3) for j in range(depth)]
        stages[f"block{i}"] = nn.Sequential(*([nn.MaxPool2d(2)] if i > 1 else []), *convs)
        cin = width
    stages["narrow"] = nn.Sequential(conv_relu(cin, cin // 2, 3), conv_relu(cin // 2, row.width, 3))
    return stages, ()


def _darknet(row: OpenPose, channels: int) -> tuple[dict[str, nn.Module], Sequence[str]]:
    """Darknet with a first convolution of stride 2; its last three stages are looked at."""
    width = row.widths[0]
    whole = Darknet(0, 0, True, row.depths, width=width).build(1, channels)
    stages = {name: getattr(whole, name) for name in whole.stages}
    stages["stem"] = conv_bn(channels, width, 6, 2, padding=2, act=LEAKY)
    return stages, whole.stages[-3:]


class TopDown(nn.Module):
    """Maps, fine to coarse -> one at the finest's size: each is added to the coarser ones' sum.

    >>> TopDown([4, 6], 5)([torch.zeros(1, 4, 8, 8), torch.zeros(1, 6, 4, 4)]).shape
    torch.Size([1, 5, 8, 8])
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(conv_bn(cin, width, 1, act=None) for cin in widths)
        self.mixes = nn.ModuleList(conv_bn(width, width, 3, act=LEAKY) for _ in widths)
        _start(self)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """The body's maps -> F_BCHW."""
        told: Tensor | None = None
        for x, lateral, mix in zip(
            reversed(seen), reversed(self.laterals), reversed(self.mixes), strict=True
        ):
            here = lateral(x)
            if told is not None:
                here = here + F.interpolate(told, size=here.shape[-2:], mode="nearest")
            told = mix(here)
        assert told is not None
        return told


class Stages(nn.Module):
    """F_BCHW (or maps for the neck) -> a map (B, 2 L + K + 1, H, W) for each stage.

    >>> stages = Stages(OpenPose(0, 0, stages=2, width=8), joints=5, limbs=4)
    >>> [list(said.shape) for said in stages.of(3, 2)(torch.zeros(1, 8, 6, 6))]
    [[1, 8, 6, 6], [1, 8, 6, 6]]
    """

    def __init__(
        self, row: OpenPose, joints: int, limbs: int, neck: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.row, self.joints, self.limbs = row, joints, limbs
        self.cell = 1 << (len(row.depths) - 1)  # pixels that a cell of the maps is wide
        self.neck = neck
        outs = (2 * limbs, joints + 1)
        self.fields, self.maps = nn.ModuleList(), nn.ModuleList()
        for stage in range(row.stages):
            cin = row.width + (sum(outs) if stage else 0)
            shape = row.later if stage else row.first
            self.fields.append(_branch(cin, outs[0], row, shape))
            self.maps.append(_branch(cin, outs[1], row, shape))

    def forward(self, seen: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """What the body saw -> raw maps, a stage each."""
        x: Tensor = seen if self.neck is None else self.neck(seen)  # type: ignore[assignment]
        said: list[Tensor] = []
        for field, maps in zip(self.fields, self.maps, strict=True):
            here = torch.cat([said[-1], x], 1) if said else x  # in the order of Cao's weights
            said.append(torch.cat([field(here), maps(here)], 1))
        return said

    def of(self, joints: int, limbs: int) -> "Stages":
        """These stages for another skeleton: the neck stays, the branches are fresh.

        Raises DataError for joints without limbs.
        """
        if not limbs:
            raise DataError("the data have joints and no limbs between them, by which OpenPose "
                            "tells people apart; give the category of COCO's json, or the "
                            "Dataset, a skeleton, or take model=keypoint_rcnn-small, which wants "
                            "none")  # fmt: skip
        if (joints, limbs) == (self.joints, self.limbs):
            return self
        return Stages(self.row, joints, limbs, self.neck)

    def people(self, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """What task=pose notes of the network."""
        return {"cell": self.cell}


def _start(part: nn.Module) -> None:
    """He's weights (arXiv:1502.01852), in place."""
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _branch(cin: int, cout: int, row: OpenPose, shape: tuple[Count, Count, Count]) -> nn.Sequential:
    depth, size, narrow = shape
    conv = conv_relu if row.body == "vgg" else partial(conv_bn, act=LEAKY)
    layers = [conv(row.width if j else cin, row.width, size) for j in range(depth)]
    last = nn.Conv2d(narrow, cout, 1)
    branch = nn.Sequential(*layers, conv(row.width, narrow, 1), last)
    _start(branch)
    nn.init.normal_(last.weight, std=0.01)  # an untrained network says: nobody is there
    return branch


TABLE = {  #                          parameters  multiply-adds
    "paper:openpose_coco": OpenPose(52_311_446, 135_934_006_784),
    "openpose-small": OpenPose(
        989_842, 198_595_584, 13, 2, 48, (2, 3, 48), (2, 3, 48), "darknet", (1, 2, 2), (24,),
        input=(3, 96, 96), classes=14,
    ),
}  # fmt: skip
