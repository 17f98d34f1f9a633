"""YOLO v3 (arXiv:1804.02767): three scales of anchors, an objectness, logistic classes.

Raw: for each scale a map (B, A x (5 + K), H, W); of each anchor tx, ty, tw, th, objectness and K
classes. A box's centre lies in its cell, x = stride (column + sigmoid(tx)), and its size is the
anchor's times exp(tw), exp(th).

`reach` 0 is the paper's: one anchor answers for an object, in the cell of its centre. With 0.5 a
centre may lie half a cell outside, and the two nearest neighbour cells and every anchor of like
shape answer too: three to nine times the examples, which a short training on few images needs.

The paper learns boxes by the squares of what tx .. th miss and objectness towards 1; here boxes are
learned by 1 - GIoU and objectness towards the overlap reached, and each part is a mean over those
who answer. Its `ignore` is 0.5; 0.7 is that of its program for COCO.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._cells import Cells, answering, blamed, flat, seated, unflat
from .detector import Found, Style, Truth, candidates
from .iou import aligned_giou, aligned_iou

PARTS = {
    "YOLO v3": Part(
        "Detection and segmentation", "sn.nn.YoloV3, sn.nn.Truth, sn.nn.Found",
        "three scales, nine anchors, logistic classes", "001",
    )
}  # fmt: skip
SURE = 14.0  # the logit of a perfect answer


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
    name = "yolo_v3"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """box: 1 - GIoU of who answers; objectness: against the overlap reached; class."""
        cells = Cells.of(raw, self.anchors, size)
        out = flat(raw, self.classes)
        boxes = cells.boxes(out[..., :4].float(), self.reach)
        image, slot, object_P, truth = answering(cells, truths, self.reach)
        goal = torch.zeros(out.shape[:2], device=out.device)
        box = cls = out.sum() * 0.0
        if len(image):
            mine = boxes[image, slot]
            box = (1 - aligned_giou(mine, truth.boxes_N4[object_P])).sum()
            goal[image, slot] = aligned_iou(mine.detach(), truth.boxes_N4[object_P])
            onehot = F.one_hot(truth.labels_N[object_P], self.classes).float()
            cls = F.binary_cross_entropy_with_logits(
                out[image, slot, 5:].float(), onehot, reduction="sum"
            )
        blame = blamed(boxes.detach(), goal, truths, ignore=self.ignore)
        obj = F.binary_cross_entropy_with_logits(out[..., 4].float(), goal, reduction="none")
        count = max(len(image), 1)
        parts = {"box": box, "objectness": (obj * blame).sum(), "class": cls}
        return {
            name: weight * part / count
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
        count = len(self.anchors[0])
        depth = count * (5 + self.classes)
        empty = [torch.full((len(truths), depth, h, w), -SURE) for h, w in cells]
        grid, out = Cells.of(empty, self.anchors, size), flat(empty, self.classes).clone()
        for image, truth in enumerate(truths):
            for slot, box_4, label in seated(grid, truth):
                out[image, slot, :4] = grid.code(slot, box_4, self.reach)
                out[image, slot, 4] = out[image, slot, 5 + label] = SURE
        return unflat(out, cells, count)


STYLES = {YoloV3.name: YoloV3}
