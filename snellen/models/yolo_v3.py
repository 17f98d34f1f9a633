"""YOLO v3, arXiv:1804.02767: Darknet-53 and a pyramid that reads boxes off three of its maps.

x_BCHW -> three maps (B, A x (5 + K), H, W), fine to coarse; `sn.nn.YoloV3` says what they mean.
The small one halves in its first convolution and thrice more, so its cells are 4, 8 and 16 pixels
wide where the paper's are 8, 16 and 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._columns import Count, Share
from ._network import Network
from ._parts import conv_bn
from ._row import Row
from .darknet import Darknet

LEAKY = partial(nn.LeakyReLU, 0.1, inplace=True)
SCALES, ANCHORS = 3, 3  # maps, and anchors of each
RARE = -4.6  # the logit of 1 %: an untrained network should say that hardly a slot holds a thing


@dataclass(frozen=True)
class YoloV3(Row):
    """`depths` and `width` are Darknet's; `stem` "halving" is one convolution of 6x6, stride 2.
    `reach` and `ignore` are facts of `sn.nn.YoloV3`.
    """

    depths: tuple[Count, ...] = (1, 2, 8, 8, 4)
    width: Count = 32
    stem: Literal["paper", "halving"] = "paper"
    reach: Share = 0.0
    ignore: Share = 0.5
    family = "YOLO"
    paper = "arXiv:1804.02767"
    task = "detect"
    input = (3, 416, 416)
    classes = 80
    thin = {"width": 4, "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> maps."""
        body = Darknet(0, 0, True, self.depths, width=self.width).build(1, channels)
        stages = {name: getattr(body, name) for name in body.stages}
        if self.stem == "halving":
            stages["stem"] = conv_bn(channels, self.width, 6, 2, padding=2, act=LEAKY)
        widths = [self.width << i for i in range(1, len(self.depths) + 1)][-SCALES:]
        first = (1 if self.stem == "paper" else 2) << (len(self.depths) - SCALES + 1)
        strides = tuple(first << i for i in range(SCALES))
        head = Pyramid(widths, classes, strides, reach=self.reach, ignore=self.ignore)
        return Network(stages, head, channels, taps=body.stages[-SCALES:])


class Pyramid(nn.Module):
    """maps, fine to coarse -> raw maps (B, A x (5 + K), H, W), each told what a coarser one saw.

    `style` says what they mean for data with these classes and anchors.
    """

    def __init__(
        self, widths: Sequence[int], classes: int, strides: tuple[int, ...], **rules: float
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
            self.outs.append(nn.Sequential(_conv(half, width, 3), last))
            told = half // 2
            if len(self.outs) < len(widths):
                self.routes.append(_conv(half, told, 1))

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
    return nn.Sequential(*(_conv(a, b, size) for a, b, size in pairs))


def _conv(cin: int, cout: int, size: int) -> nn.Sequential:
    return conv_bn(cin, cout, size, act=LEAKY)


TABLE = {  #                       parameters  multiply-adds
    "paper:yolov3_coco": YoloV3(61_949_149, 32_932_037_632),
    "paper:yolov3_voc": YoloV3(61_626_049, 32_713_987_072, classes=20),
    "yolov3-small": YoloV3(
        1_443_987, 119_377_152, (1, 2, 2), 24, "halving", 0.5, 0.7, input=(3, 96, 96), classes=6
    ),
}
