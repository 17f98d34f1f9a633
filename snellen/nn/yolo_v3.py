"""YOLO v3 (arXiv:1804.02767): three scales of anchors, an objectness, logistic classes.

Raw: for each scale a map (B, A x (5 + K), H, W); of each anchor tx, ty, tw, th, objectness and K
classes. A box's centre lies in its cell, x = stride (column + sigmoid(tx)), and its size is the
anchor's times exp(tw), exp(th).

`reach` 0 is the paper: one anchor answers for an object, in the cell of its centre. With reach 0.5
a centre may lie half a cell outside, and the two nearest neighbour cells and every anchor of like
shape answer too: three to nine times the examples, which a short training on few images needs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from .anchors import size_iou
from .box_code import centres, corners
from .detector import Found, Style, Truth
from .iou import aligned_giou, aligned_iou, box_iou

PARTS = {
    "YOLO v3": Part(
        "Detection and segmentation", "sn.nn.YoloV3, sn.nn.Truth, sn.nn.Found",
        "three scales, nine anchors, logistic classes", "001",
    )
}  # fmt: skip
LIKE = 0.35  # overlap of shapes from which an anchor answers, where more than one may
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
        grid = self._grid(raw, size)
        out = _flat(raw, self.classes)
        boxes = grid.boxes(out[..., :4].float(), self.reach)
        image, slot, object_P, truth = self._positives(grid, truths, out.device)
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
        blame = self._blamed(boxes.detach(), goal, truths)
        obj = F.binary_cross_entropy_with_logits(out[..., 4].float(), goal, reduction="none")
        count = max(len(image), 1)
        parts = {"box": box, "objectness": (obj * blame).sum(), "class": cls}
        return {
            name: weight * part / count
            for (name, part), weight in zip(parts.items(), self.weights, strict=True)
        }

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """Objectness times class is the score; a box may be a candidate for several classes."""
        grid = self._grid(raw, size)
        out = _flat(raw, self.classes).float()
        boxes = grid.boxes(out[..., :4], self.reach)
        scores = out[..., 4:5].sigmoid() * out[..., 5:].sigmoid()
        found = []
        for boxes_N4, scores_NK in zip(boxes, scores, strict=True):
            row, label = (scores_NK >= least).nonzero(as_tuple=True)
            found.append(Found(boxes_N4[row], scores_NK[row, label], label))
        return found

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
        grid, out = self._grid(empty, size), _flat(empty, self.classes).clone()
        for image, truth in enumerate(truths):
            truth = truth.sound()
            taken: set[int] = set()
            for box_4, label in zip(truth.boxes_N4.cpu(), truth.labels_N.tolist(), strict=True):
                fit_N = grid.fit(box_4[None])[:, 0].clone()
                fit_N[list(taken)] = -1
                slot = int(fit_N.argmax())
                taken.add(slot)
                out[image, slot, :4] = grid.code(slot, box_4, self.reach)
                out[image, slot, 4] = out[image, slot, 5 + label] = SURE
        return _unflat(out, cells, count)

    def _grid(self, raw: Sequence[Tensor], size: tuple[int, int]) -> "_Grid":
        return _Grid.of([m.shape[-2:] for m in raw], self.anchors, size, raw[0].device)

    def _positives(
        self, grid: "_Grid", truths: Sequence[Truth], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Truth]:
        """Which slot of which image answers for which object of all the images'."""
        sound = [truth.sound() for truth in truths]
        image_T = torch.cat([torch.full((len(t.labels_N),), i) for i, t in enumerate(sound)])
        boxes = torch.cat([t.boxes_N4 for t in sound]).float().to(device)
        whole = Truth(boxes, torch.cat([t.labels_N for t in sound]).to(device))
        if not len(image_T):
            none = image_T.to(device)
            return none, none, none, whole
        fit_NT = grid.fit(boxes, 0.5 if self.reach else 0.0)
        answers = (fit_NT == fit_NT.amax(0)) & (fit_NT >= 0)
        if self.reach:
            answers |= fit_NT > LIKE
        slot, object_P = answers.nonzero(as_tuple=True)
        image = image_T.to(device)[object_P]
        return *_one_each(image, slot, object_P, fit_NT), whole

    def _blamed(self, boxes: Tensor, goal: Tensor, truths: Sequence[Truth]) -> Tensor:
        """1 for each slot whose objectness counts; 0 where it nearly found an object unasked."""
        blame = torch.ones_like(goal)
        for image, truth in enumerate(truths):
            if len(truth.boxes_N4):
                near = box_iou(boxes[image], truth.boxes_N4.float().to(boxes.device)).amax(1)
                blame[image, near > self.ignore] = 0.0
        blame[goal > 0] = 1.0
        return blame


@dataclass(frozen=True)
class _Grid:
    """Every anchor of every cell, all scales in one row: N of them."""

    cell_N2: Tensor  # column, row
    stride_N2: Tensor  # pixels a cell, x and y
    anchor_N2: Tensor

    @staticmethod
    def of(
        cells: Sequence[Any], anchors: Sequence[Any], size: tuple[int, int], device: torch.device
    ) -> "_Grid":
        cell, stride, anchor = [], [], []
        for (height, width), sizes in zip(cells, anchors, strict=True):
            rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            here = torch.stack([cols, rows], -1).float().view(-1, 1, 2)
            each = torch.tensor(sizes).float()
            cell.append(here.expand(-1, len(each), 2).reshape(-1, 2))
            anchor.append(each.expand(height * width, -1, 2).reshape(-1, 2))
            pixels = torch.tensor([size[1] / width, size[0] / height])
            stride.append(pixels.expand(len(cell[-1]), 2))
        return _Grid(*(torch.cat(x).to(device) for x in (cell, stride, anchor)))

    def boxes(self, code_BN4: Tensor, reach: float) -> Tensor:
        """tx, ty, tw, th -> x1 y1 x2 y2 in pixels."""
        share = code_BN4[..., :2].sigmoid() * (1 + 2 * reach) - reach
        middle = (self.cell_N2 + share) * self.stride_N2
        extent = self.anchor_N2 * code_BN4[..., 2:].clamp(max=8).exp()
        return corners(torch.cat([middle, extent], -1))

    def code(self, slot: int, box_4: Tensor, reach: float) -> Tensor:
        """The inverse of `boxes` for one slot."""
        middle, extent = centres(box_4.float()).split(2)
        share = (middle / self.stride_N2[slot] - self.cell_N2[slot] + reach) / (1 + 2 * reach)
        return torch.cat([share.logit(1e-6), (extent / self.anchor_N2[slot]).log()])

    def fit(self, boxes_T4: Tensor, reach: float = 0.0) -> Tensor:
        """How well each slot suits each object, (N, T): overlap of shapes, or -1 where the centre
        is further than `reach` cells outside the slot's own cell, sideways or upwards.
        """
        middle_T4 = centres(boxes_T4)
        shift = middle_T4[None, :, :2] / self.stride_N2[:, None] - self.cell_N2[:, None] - 0.5
        near = (shift.abs() <= 0.5 + reach).all(2) & ((shift.abs() <= 0.5).sum(2) >= 1)
        on_edge = (shift == 0.5).any(2) if not reach else torch.zeros_like(near)
        return torch.where(near & ~on_edge, size_iou(self.anchor_N2, middle_T4[:, 2:]), -1.0)


def _one_each(
    image: Tensor, slot: Tensor, object_P: Tensor, fit_NT: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the objects that want one slot of one image the best-fitting gets it."""
    order = fit_NT[slot, object_P].argsort(descending=True, stable=True)
    image, slot, object_P = image[order], slot[order], object_P[order]
    place = image * len(fit_NT) + slot
    size = int(place.max()) + 1 if len(place) else 0
    first = torch.full((size,), len(place), device=place.device)
    first.scatter_reduce_(0, place, torch.arange(len(place), device=place.device), "amin")
    rows = first[first < len(place)]
    return image[rows], slot[rows], object_P[rows]


def _flat(raw: Sequence[Tensor], classes: int) -> Tensor:
    """Maps (B, A (5 + K), H, W) -> (B, N, 5 + K): rows, columns, anchors; fine scales first."""
    parts = []
    for m in raw:
        batch, _, height, width = m.shape
        split = m.view(batch, -1, 5 + classes, height, width)
        parts.append(split.permute(0, 3, 4, 1, 2).reshape(batch, -1, 5 + classes))
    return torch.cat(parts, 1)


def _unflat(out: Tensor, cells: Sequence[tuple[int, int]], count: int) -> list[Tensor]:
    """Undoes `_flat`."""
    maps, low = [], 0
    for height, width in cells:
        high = low + height * width * count
        part = out[:, low:high].view(len(out), height, width, count, -1)
        maps.append(part.permute(0, 3, 4, 1, 2).reshape(len(out), -1, height, width))
        low = high
    return maps


STYLES = {YoloV3.name: YoloV3}
