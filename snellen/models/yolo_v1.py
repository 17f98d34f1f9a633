"""YOLO v1, arXiv:1506.02640 figure 3: 24 convolutions and two fc layers that see the whole picture.

x_BCHW -> body, its maps averaged to S x S -> fc 4096 -> (B, S, S, 5 A + K); `sn.nn.YoloV1` says
what that means. The averaging does nothing at the paper's 448x448 and lets other sizes in. The
small one has batch norm, and its cells answer each for itself: with fc layers every cell would
learn alone, from the few things that 2,000 pictures have in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from ._columns import Count, Factor, Natural, Share
from ._network import Network
from ._parts import conv_bn, he_init
from ._row import Row

LEAKY = partial(nn.LeakyReLU, 0.1, inplace=True)
BODIES = {  # stage -> kernel x kernel (/stride) and channels of each convolution, or a pooling
    "paper": {
        "stem": "7/2 64",
        "stage1": "pool, 3 192",
        "stage2": "pool, 1 128, 3 256, 1 256, 3 512",
        "stage3": "pool" + 4 * ", 1 256, 3 512" + ", 1 512, 3 1024",
        "stage4": "pool" + 2 * ", 1 512, 3 1024" + ", 3 1024, 3/2 1024",
        "stage5": "3 1024, 3 1024",
    },
    "small": {
        "stem": "6/2 24",
        "stage1": "pool, 3 48, 1 24, 3 48",
        "stage2": "pool, 3 96, 1 48, 3 96",
        "stage3": "3 128, 1 64, 3 128",
    },
}


@dataclass(frozen=True)
class YoloV1(Row):
    """`scale` multiplies the body's channels; `boxes` of each of grid x grid cells; `hidden` 0 is
    a convolution of 1x1 instead of the fc layers.
    """

    body: Literal["paper", "small"] = "paper"
    scale: Factor = 1.0
    norm: bool = False
    grid: Count = 7
    boxes: Count = 2
    hidden: Natural = 4096
    dropout: Share = 0.5
    family = "YOLO"
    paper = "arXiv:1506.02640"
    task = "detect"
    input = (3, 448, 448)
    classes = 20
    thin = {"scale": 1 / 16, "hidden": 32, "grid": 3}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> (B, S, S, 5 A + K)."""
        stages, cin = {}, channels
        for name, text in BODIES[self.body].items():
            stages[name], cin = self._stage(cin, text)
        return he_init(Network(stages, Grid(cin, classes, self), channels))

    def _stage(self, cin: int, text: str) -> tuple[nn.Sequential, int]:
        layers: list[nn.Module] = []
        for word in text.split(", "):
            size, _, stride, wide = (re.findall(r"(\d+)(/(\d))? (\d+)", word) or [("",) * 4])[0]
            if not size:
                layers.append(nn.MaxPool2d(2))
                continue
            cout, step = max(1, round(int(wide) * self.scale)), int(stride or 1)
            if self.norm:
                layers.append(conv_bn(cin, cout, int(size), step, padding=_pad(size), act=LEAKY))
            else:
                layers += [nn.Conv2d(cin, cout, int(size), step, _pad(size)), LEAKY()]
            cin = cout
        return nn.Sequential(*layers), cin


def _pad(size: str) -> int:
    """So much that stride 1 keeps a map's side and stride 2 halves an even one."""
    return (int(size) - 1) // 2


class Grid(nn.Module):
    """x_BCHW -> (B, S, S, 5 A + K): through one hidden layer, or each cell for itself."""

    def __init__(self, cin: int, classes: int, row: YoloV1) -> None:
        super().__init__()
        self.grid, self.boxes, self.whole = row.grid, row.boxes, row.hidden > 0
        self.pool = nn.AdaptiveAvgPool2d(row.grid)
        self.before = nn.Sequential()
        if self.whole:
            fc = nn.Linear(cin * row.grid**2, row.hidden)
            self.before = nn.Sequential(nn.Flatten(), fc, LEAKY(), nn.Dropout(row.dropout))
            self.out: nn.Module = nn.Linear(row.hidden, self.outputs(classes))
        else:
            self.out = nn.Conv2d(cin, self.outputs(classes), 1)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, S, S, 5 A + K)."""
        x = self.out(self.before(self.pool(x)))
        if self.whole:
            return x.unflatten(1, (self.grid, self.grid, -1))
        return x.permute(0, 2, 3, 1)

    def outputs(self, classes: int) -> int:
        """What the last layer says: of each cell its boxes and the classes."""
        return (self.grid**2 if self.whole else 1) * (5 * self.boxes + classes)

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of `sn.nn.YoloV1`, which has no anchors."""
        return {"name": "yolo_v1", "classes": classes, "grid": self.grid, "boxes": self.boxes}


TABLE = {  #                   parameters   multiply-adds
    "paper:yolov1_voc": YoloV1(271_703_550, 20_285_153_280),
    "yolov1-small": YoloV1(
        308_016, 59_203_584, "small", 1.0, True, 12, hidden=0, input=(3, 96, 96), classes=6
    ),
}
