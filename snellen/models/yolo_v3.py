"""YOLO v3, arXiv:1804.02767: Darknet-53 and a pyramid that reads boxes off three of its maps.

x_BCHW -> three maps (B, A x (5 + K), H, W), fine to coarse; `sn.nn.YoloV3` says what they mean.
The small one halves in its first convolution and thrice more, so its cells are 4, 8 and 16 pixels
wide where the paper's are 8, 16 and 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._columns import Count, Share
from ._network import Network
from ._row import Row
from .darknet import detector_body, leaky_conv

SCALES, ANCHORS = 3, 3  # maps, and anchors of each
RARE = -4.6  # the logit of 1 %: an untrained network should say that hardly a slot holds a thing


@dataclass(frozen=True)
class YoloV3(Row):
    """`depths` and `width` are Darknet's; `stem` "halving" is one convolution of 6x6, stride 2.
    `reach`, `ignore` and `boxes` are facts of `sn.nn.YoloV3`.
    """

    depths: tuple[Count, ...] = (1, 2, 8, 8, 4)
    width: Count = 32
    stem: Literal["paper", "halving"] = "paper"
    reach: Share = 0.0
    ignore: Share = 0.5
    boxes: Literal["giou", "squares"] = "squares"
    family = "YOLO"
    paper = "arXiv:1804.02767"
    task = "detect"
    input = (3, 416, 416)
    classes = 80
    thin = {"width": 4, "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> maps."""
        stages, stride = detector_body(channels, True, self.depths, self.width, self.stem)
        widths = [self.width << i for i in range(1, len(self.depths) + 1)][-SCALES:]
        strides = tuple(stride >> i for i in reversed(range(SCALES)))
        rules = {"reach": self.reach, "ignore": self.ignore, "boxes": self.boxes}
        head = Pyramid(widths, classes, strides, rules)
        return Network(stages, head, channels, taps=tuple(stages)[-SCALES:])


class Pyramid(nn.Module):
    """maps, fine to coarse -> raw maps (B, A x (5 + K), H, W), each told what a coarser one saw.

    `style` says what they mean for data with these classes and anchors.
    """

    def __init__(
        self, widths: Sequence[int], classes: int, strides: tuple[int, ...], rules: dict[str, Any]
    ) -> None:
        super().__init__()
        self.strides, self.rules = strides, rules
        self.necks, self.outs, self.routes = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        told = 0
        for width in reversed(widths):  # coarse to fine
            half = width // 2
            self.necks.append(_neck(width + told, half))
            last = nn.Conv2d(width, self.outputs(classes), 1)
            last.get_parameter("bias").data.view(ANCHORS, -1)[:, 4] = RARE
            self.outs.append(nn.Sequential(leaky_conv(half, width, 3), last))
            told = half // 2
            if len(self.outs) < len(widths):
                self.routes.append(leaky_conv(half, told, 1))

    def forward(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """The body's maps -> raw maps."""
        raw: list[Tensor] = []
        told: Tensor | None = None
        for k, (neck, out) in enumerate(zip(self.necks, self.outs, strict=True)):
            here = seen[-1 - k]
            if told is not None:
                up = F.interpolate(told, size=here.shape[-2:], mode="nearest")
                here = torch.cat([up, here], 1)
            here = neck(here)
            raw.insert(0, out(here))
            told = self.routes[k](here) if k < len(self.routes) else None
        return raw

    @staticmethod
    def outputs(classes: int) -> int:
        """What each cell says: of each anchor a box, an objectness and the classes."""
        return ANCHORS * (5 + classes)

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of `sn.nn.YoloV3`; anchors by how many they are."""
        nine = anchors[str(SCALES * ANCHORS)]
        split = [nine[i : i + ANCHORS] for i in range(0, len(nine), ANCHORS)]
        return {
            "name": "yolo_v3",
            "classes": classes,
            "anchors": split,
            "strides": list(self.strides),
            **self.rules,
        }


def _neck(cin: int, half: int) -> nn.Sequential:
    """Five convolutions, 1x1 and 3x3 in turn."""
    widths = (cin, half, 2 * half, half, 2 * half, half)
    pairs = zip(widths, widths[1:], (1, 3, 1, 3, 1), strict=False)
    return nn.Sequential(*(leaky_conv(a, b, size) for a, b, size in pairs))


EASIER: dict[str, Any] = {"reach": 0.5, "ignore": 0.7, "boxes": "giou"}  # on few pictures
TABLE = {  #                       parameters  multiply-adds
    "paper:yolov3_coco": YoloV3(61_949_149, 32_932_037_632),
    "paper:yolov3_voc": YoloV3(61_626_049, 32_713_987_072, classes=20),
    "yolov3-small": YoloV3(
        1_443_987, 119_377_152, (1, 2, 2), 24, "halving", **EASIER, input=(3, 96, 96), classes=6
    ),
}
