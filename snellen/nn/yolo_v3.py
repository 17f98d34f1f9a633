"""YOLO v3 (arXiv:1804.02767): three scales of anchors, an objectness, logistic classes.

Raw: for each scale a map (B, A x (5 + K), H, W); of each anchor tx, ty, tw, th, objectness and K
classes. A box's centre lies in its cell, x = stride (column + sigmoid(tx)), and its size is the
anchor's times exp(tw), exp(th).

`reach` 0 is the paper's: one anchor answers for an object, in the cell of its centre. With 0.5 a
centre may lie half a cell outside, and the two nearest neighbour cells and every anchor of like
shape answer too: three to nine times the examples, which a short training on few images needs.

`boxes` "squares" is the paper's loss: half the squares of what the place in the cell, tw and th
miss (its gradient is truth minus prediction), objectness towards 1, sums over an image; `ignore` is
0.5 there, and 0.7 in its program for COCO. The place is compared after the sigmoid, as in YOLO
v2: before it, a centre at a cell's edge would be infinitely far. With "giou" boxes are learned by
1 - GIoU and objectness towards the overlap reached, and each part is a mean over those who answer.
`paper:yolov3_coco` and `_voc` learn by squares, yolov3-small by GIoU.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UnknownName
from ..core.parts import Part
from ._cells import Cells, answering, blamed, flat, misses, perfect
from .detector import Found, Style, Truth, candidates
from .iou import aligned_giou, aligned_iou

PARTS = {
    "YOLO v3": Part(
        "Detection and segmentation", "sn.nn.YoloV3, sn.nn.Truth, sn.nn.Found",
        "three scales, nine anchors, logistic classes", "001",
    )
}  # fmt: skip


@dataclass(frozen=True)
class YoloV3(Style):
    """anchors_MA2: for each scale, fine to coarse, its anchors' width and height in pixels.

    >>> style = YoloV3(2, (((8.0, 8.0),), ((16.0, 16.0),)))
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> raw = style.oracle([truth], (32, 32), cells=((4, 4), (2, 2)))
    >>> style.decode(raw, (32, 32), 0.5)[0].boxes_N4.round().tolist()
    [[3.0, 4.0, 11.0, 12.0]]
    """

    classes: int
    anchors: Sequence[Sequence[Sequence[float]]]
    strides: Sequence[int] = ()
    reach: float = 0.5
    ignore: float = 0.7  # overlap with an object from which an unassigned box is not punished
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)  # box, objectness, class
    boxes: Literal["giou", "squares"] = "giou"  # what they are learned by
    name = "yolo_v3"

    def __post_init__(self) -> None:
        """Raises UsageError on a loss of boxes that is none of the two."""
        if self.boxes not in (kinds := ("giou", "squares")):
            raise UnknownName(str(self.boxes), kinds, "the losses of YOLO v3's boxes")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """box, of who answers; objectness, of all that are blamed; class."""
        cells = Cells.of(raw, self.anchors, size)
        out = flat(raw, self.classes).float()
        boxes = cells.boxes(out[..., :4], self.reach)
        image, slot, object_P, truth = answering(cells, truths, self.reach)
        mine, true = out[image, slot], truth.boxes_N4[object_P]
        goal = torch.zeros(out.shape[:2], device=out.device)
        if self.boxes == "squares":
            missed = misses(cells, mine[:, :4], slot, true, self.reach).square().sum(1) / 2
            goal[image, slot], count = 1.0, len(truths)
        else:
            missed = 1 - aligned_giou(boxes[image, slot], true)
            goal[image, slot], count = aligned_iou(boxes[image, slot].detach(), true), len(image)
        onehot = F.one_hot(truth.labels_N[object_P], self.classes).float()
        blame = blamed(boxes.detach(), goal, truths, ignore=self.ignore)
        obj = F.binary_cross_entropy_with_logits(out[..., 4], goal, reduction="none")
        parts = {
            "box": missed.sum(),
            "objectness": (obj * blame).sum(),
            "class": F.binary_cross_entropy_with_logits(mine[:, 5:], onehot, reduction="sum"),
        }
        return {
            name: weight * part / max(count, 1)
            for (name, part), weight in zip(parts.items(), self.weights, strict=True)
        }

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """Objectness times class is the score; a box may be a candidate for several classes."""
        out = flat(raw, self.classes).float()
        boxes = Cells.of(raw, self.anchors, size).boxes(out[..., :4], self.reach)
        return candidates(boxes, out[..., 4:5].sigmoid() * out[..., 5:].sigmoid(), least)

    def oracle(
        self,
        truths: Sequence[Truth],
        size: tuple[int, int],
        cells: Sequence[tuple[int, int]] | None = None,
    ) -> list[Tensor]:
        """Every object in the free slot of its centre's cell that fits its shape best."""
        cells = cells or [(size[0] // s, size[1] // s) for s in self.strides]
        rules: dict[str, Any] = {"size": size, "classes": self.classes, "reach": self.reach}
        return perfect(truths, cells, self.anchors, **rules)


STYLES = {YoloV3.name: YoloV3}
