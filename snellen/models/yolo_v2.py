"""YOLO v2, arXiv:1612.08242: Darknet-19's convolutions, a passthrough of finer maps, five anchors.

x_BCHW -> a map (B, A x (5 + K), H/32, W/32); `sn.nn.YoloV2` says what it means. The finer map
comes through 64 channels of 1x1 before it is folded into depth, as in yolov2-voc.cfg.
The small one halves in its first convolution and twice more: cells of 8 pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..nn.reorg import Reorg
from ._columns import Count
from ._network import Network
from ._row import Row
from .darknet import detector_body, leaky_conv

ANCHORS = 5
RARE = -4.6  # the logit of 1 %: an untrained network should say that hardly a slot holds a thing


@dataclass(frozen=True)
class YoloV2(Row):
    """`depths` and `width` are Darknet's; `narrow` channels pass through to the last map."""

    depths: tuple[Count, ...] = (1, 3, 3, 5, 5)
    width: Count = 32
    narrow: Count = 64
    stem: Literal["paper", "halving"] = "paper"
    family = "YOLO"
    paper = "arXiv:1612.08242"
    task = "detect"
    input = (3, 416, 416)
    classes = 20
    thin = {"width": 4, "narrow": 4, "depths": (1, 1, 1)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> a map."""
        stages, stride = detector_body(channels, False, self.depths, self.width, self.stem)
        head = Passthrough(self.width << len(self.depths), self.narrow, classes, stride)
        return Network(stages, head, channels, taps=tuple(stages)[-2:])


class Passthrough(nn.Module):
    """Two maps, the finer first -> (B, A x (5 + K), H, W) of the coarser."""

    def __init__(self, width: int, narrow: int, classes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.deep = nn.Sequential(leaky_conv(width, width, 3), leaky_conv(width, width, 3))
        self.passed = nn.Sequential(leaky_conv(width // 2, narrow, 1), Reorg(2))
        self.mixed = leaky_conv(4 * narrow + width, width, 3)
        self.out = nn.Conv2d(width, self.outputs(classes), 1)
        self.out.get_parameter("bias").data.view(ANCHORS, -1)[:, 4] = RARE

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """The body's maps -> the raw map."""
        fine, coarse = seen
        return self.out(self.mixed(torch.cat([self.passed(fine), self.deep(coarse)], 1)))

    @staticmethod
    def outputs(classes: int) -> int:
        """What each cell says: of each anchor a box, an objectness and the classes."""
        return ANCHORS * (5 + classes)

    def style(self, classes: int, anchors: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of `sn.nn.YoloV2`; anchors by how many they are."""
        return {
            "name": "yolo_v2",
            "classes": classes,
            "anchors": anchors[str(ANCHORS)],
            "stride": self.stride,
        }


TABLE = {  #                   parameters  multiply-adds
    "paper:yolov2_voc": YoloV2(50_655_389, 14_680_167_424),
    "paper:yolov2_coco": YoloV2(50_962_889, 14_732_084_224, classes=80),
    "yolov2-small": YoloV2(
        798_839, 139_917_312, (3, 3), 32, 32, "halving", input=(3, 96, 96), classes=6
    ),
}
