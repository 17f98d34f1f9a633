"""SSD, arXiv:1512.02325 figure 2: VGG-16, its fc layers as dilated convolutions, smaller maps on.

x_BCHW -> six maps (B, A x (5 + K), H, W), fine to coarse; `sn.nn.Ssd` says what they mean.
`classes` are those of things; the class of nothing comes on top: torchvision's 91 are 90 here.
The first map is conv4_3's, each pixel's vector scaled to length 20 a channel, to be learned.
torchvision's weights want pixels of 0..255 less (123, 117, 104).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._columns import Count, Natural
from ._names import Named
from ._network import Network
from ._parts import he_init, relu
from ._row import Row

NAMES = (
    "backbone backbone.features.# backbone.extra.#.* "
    "head.regression_head.module_list.# head.classification_head.module_list.#"
)
WIDE, WIDER = (2.0,), (2.0, 3.0)
LENGTH = 20.0  # of a pixel's vector in the finest map, before it is learned


@dataclass(frozen=True)
class Ssd(Row):
    """`depths` and `widths` are VGG's, `extras` the maps behind fc7, the last `valid` unpadded.

    `ratios` and `scales` of the default boxes, one scale more than maps; `steps` their pixels
    apart at 300x300. `stem` "halving" gives the first convolution stride 2.
    """

    depths: tuple[Count, ...] = (2, 2, 3, 3, 3)
    widths: tuple[Count, ...] = (64, 128, 256, 512, 512)
    hidden: Count = 1024
    extras: tuple[Count, ...] = (512, 256, 256, 256)
    valid: Natural = 2
    ratios: tuple[tuple[float, ...], ...] = (WIDE, WIDER, WIDER, WIDER, WIDE, WIDE)
    scales: tuple[float, ...] = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    steps: tuple[float, ...] = (8, 16, 32, 64, 100, 300)
    norm: bool = False
    stem: Literal["paper", "halving"] = "paper"
    family = "Detection/segmentation"
    paper = "arXiv:1512.02325"
    task = "detect"
    input = (3, 300, 300)
    classes = 90
    names = (Named("torchvision", NAMES, {"norm": False}),)
    thin = {
        "depths": (1, 1, 1), "widths": (4, 8, 8), "hidden": 8, "extras": (8, 8), "valid": 0,
        "ratios": (WIDE, WIDER, WIDE, WIDE), "scales": (0.1, 0.2, 0.3, 0.5, 0.8), "steps": (),
    }  # fmt: skip

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> maps."""
        stages = self._blocks(channels)
        finest = list(stages)[-2]
        stages["fc"] = nn.Sequential(
            nn.MaxPool2d(3, 1, 1),
            *self._conv(self.widths[-1], self.hidden, 3, padding=6, dilation=6),
            *self._conv(self.hidden, self.hidden, 1),
        )
        cin = self.hidden
        for i, width in enumerate(self.extras, 1):
            padded = i <= len(self.extras) - self.valid
            last = self._conv(width // 2, width, 3, stride=1 + padded, padding=int(padded))
            stages[f"extra{i}"] = nn.Sequential(*self._conv(cin, width // 2, 1), *last)
            cin = width
        taps = (finest, *list(stages)[list(stages).index("fc") :])
        head = Answers((self.widths[-2], self.hidden, *self.extras), classes, self)
        return he_init(Network(stages, head, channels, taps=taps))

    def _blocks(self, cin: int) -> dict[str, nn.Module]:
        """VGG's blocks; a pooling begins the next one, so that the finest map comes before it."""
        stages: dict[str, nn.Module] = {}
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            rounds_up = i == len(self.depths) - 1  # 75 -> 38, as in the paper
            layers: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=rounds_up)] if i > 1 else []
            for j in range(depth):
                halves = self.stem == "halving" and i == 1 and j == 0
                layers += self._conv(cin, width, 3, stride=1 + halves, padding=1)
                cin = width
            stages[f"block{i}"] = nn.Sequential(*layers)
        return stages

    def _conv(self, cin: int, cout: int, size: int, **how: int) -> list[nn.Module]:
        conv = nn.Conv2d(cin, cout, size, bias=not self.norm, **how)  # type: ignore[arg-type]
        return [conv, *([nn.BatchNorm2d(cout)] if self.norm else []), relu()]


class Answers(nn.Module):
    """Maps, fine to coarse -> raw maps (B, A x (5 + K), H, W)."""

    def __init__(self, widths: Sequence[int], classes: int, row: Ssd) -> None:
        super().__init__()
        self.row = row
        self.norm = Length(widths[0])
        counts = [2 + 2 * len(some) for some in row.ratios]
        self.boxes, self.outs = nn.ModuleList(), nn.ModuleList()
        for width, count in zip(widths, counts, strict=True):
            self.boxes.append(nn.Conv2d(width, 4 * count, 3, padding=1))
            self.outs.append(Classes(width, count, classes))

    def forward(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """The body's maps -> raw maps."""
        maps = [self.norm(seen[0]), *seen[1:]]
        answers = zip(maps, self.boxes, self.outs, strict=True)
        return [torch.cat([box(x), out(x)], 1) for x, box, out in answers]

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of `sn.nn.Ssd`, whose boxes are the network's and not the data's."""
        first = 1 << (len(self.row.depths) - (2 if self.row.stem == "paper" else 1))
        return {
            "name": "ssd",
            "classes": classes,
            "scales": list(self.row.scales),
            "ratios": [list(some) for some in self.row.ratios],
            "strides": list(self.row.steps or (first << i for i in range(len(self.outs)))),
            "steps": list(self.row.steps),
        }


class Classes(nn.Module):
    """x_BCHW -> (B, A x (1 + K), H, W): for each default box nothing, or one of the classes."""

    def __init__(self, width: int, count: int, classes: int) -> None:
        super().__init__()
        self.count = count
        self.conv = nn.Conv2d(width, self.outputs(classes), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> logits."""
        return self.conv(x)

    def outputs(self, classes: int) -> int:
        """How many logits a cell gives."""
        return self.count * (1 + classes)


class Length(nn.Module):
    """x_BCHW -> each pixel's vector at length 1, times a learned weight a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_weight = nn.Parameter(torch.full((width,), LENGTH))

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the same shape."""
        return self.scale_weight[:, None, None] * F.normalize(x)


TABLE = {  #                parameters  multiply-adds
    "tv:ssd300_vgg16": Ssd(35_641_826, 34_858_153_472),
    "ssd-small": Ssd(
        715_580, 105_564_672, (1, 2, 2), (32, 64, 96), 128, (128, 128), 0,
        (WIDE, WIDER, WIDER, WIDE), (0.12, 0.2, 0.32, 0.5, 0.8), (), True, "halving",
        input=(3, 96, 96), classes=6,
    ),
}  # fmt: skip
