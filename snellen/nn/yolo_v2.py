"""YOLO v2 (arXiv:1612.08242): a map of cells, anchors from the data's boxes, softmax classes.

Raw: a map (B, A x (5 + K), H, W); of each anchor tx, ty, tw, th, objectness and K classes. A box's
centre lies in its cell, x = stride (column + sigmoid(tx)), and its size is the anchor's times
exp(tw), exp(th): direct location prediction.

The anchor of likest shape in the cell of a thing's centre answers for it. Where things of like
shape meet in one cell, the best-fitting is learned and the others are not. The paper leaves the
loss to its program; this is Darknet's: half the squares of what sigmoid(tx) .. th miss, and of the
objectness against the overlap reached, five times where a thing is; small boxes weigh up to twice.
The gradient is Darknet's delta, truth minus answer. (Its classes are taught by their cross-entropy,
and no prior pulls unasked boxes to their anchors.)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._cells import Cells, answering, blamed, flat, misses, perfect
from .detector import Found, Style, Truth, candidates
from .iou import aligned_iou

PARTS = {
    "YOLO v2": Part(
        "Detection and segmentation", "sn.nn.YoloV2",
        "anchors from k-means, sigmoid of the place in a cell, softmax classes", "001",
    )
}  # fmt: skip


@dataclass(frozen=True)
class YoloV2(Style):
    """anchors_A2: width and height in pixels; `stride` of the map.

    >>> style = YoloV2(2, ((8.0, 8.0), (20.0, 12.0)), 8)
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> raw = style.oracle([truth], (32, 32))
    >>> raw.shape, style.decode(raw, (32, 32), 0.5)[0].boxes_N4.round().tolist()
    (torch.Size([1, 14, 4, 4]), [[3.0, 4.0, 11.0, 12.0]])
    """

    classes: int
    anchors: Sequence[Sequence[float]]
    stride: int = 32
    ignore: float = 0.6  # overlap with an object from which an unassigned box is not punished
    found: float = 5.0  # the weight of the objectness where a thing is
    name = "yolo_v2"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "anchors": [list(map(float, pair)) for pair in self.anchors]}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """box, objectness, class: means over the images of sums."""
        cells, out = Cells.of([raw], [self.anchors], size), flat([raw], self.classes).float()
        boxes = cells.boxes(out[..., :4], 0.0).detach()
        image, slot, object_P, truth = answering(cells, truths, 0.0)
        true, mine = truth.boxes_N4[object_P], out[image, slot]
        goal = torch.zeros(out.shape[:2], device=out.device)
        goal[image, slot] = aligned_iou(boxes[image, slot], true)
        blame = blamed(boxes, goal, truths, ignore=self.ignore)
        blame[image, slot] = self.found
        small = 2 - (true[:, 2:] - true[:, :2]).prod(1) / (size[0] * size[1])
        missed = misses(cells, mine[:, :4], slot, true, 0.0)
        parts = {
            "box": (missed.square().sum(1) * small).sum() / 2,
            "objectness": ((out[..., 4].sigmoid() - goal).square() * blame).sum() / 2,
            "class": F.cross_entropy(mine[:, 5:], truth.labels_N[object_P], reduction="sum"),
        }
        return {name: part / max(len(truths), 1) for name, part in parts.items()}

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """Objectness times class is the score."""
        out = flat([raw], self.classes).float()
        boxes = Cells.of([raw], [self.anchors], size).boxes(out[..., :4], 0.0)
        return candidates(boxes, out[..., 4:5].sigmoid() * out[..., 5:].softmax(-1), least)

    def oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> Tensor:
        """Every object in the free slot of its centre's cell that fits its shape best."""
        maps = [(size[0] // self.stride, size[1] // self.stride)]
        rules: dict[str, Any] = {"size": size, "classes": self.classes, "reach": 0.0}
        return perfect(truths, maps, [self.anchors], **rules)[0]


STYLES = {YoloV2.name: YoloV2}
