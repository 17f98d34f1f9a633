"""YOLO v1 (arXiv:1506.02640): a grid of cells, one thing a cell, all errors squared. Note 001.

Raw: (B, S, S, 5 A + K). A cell says A boxes (x, y, w, h, confidence) and K classes, all linear:
x and y of the centre in cells from the cell's corner, square roots of width and height as shares
of the picture. (The paper's letter for A is B.)

The cell that holds a thing's centre answers for it, by that of its boxes that overlaps it most;
while none overlaps, by the nearest. Of several things in one cell the largest is learned and the
others are not: the paper's known limit on flocks of small things.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.numbers import check_counts, check_rates
from ..core.parts import Part
from .box_code import centres, corners
from .detector import Found, Style, Truth, candidates
from .iou import aligned_iou, box_iou

PARTS = {
    "YOLO v1": Part(
        "Detection and segmentation", "sn.nn.YoloV1",
        "cells of two boxes; its special loss: 5 on boxes, 0.5 on empty ones, roots of sizes",
        "001 004",
    )
}  # fmt: skip


@dataclass(frozen=True)
class YoloV1(Style):
    """`boxes` of a cell; `coord` and `empty` weigh boxes and the confidence where nothing is.

    >>> style = YoloV1(2, grid=4)
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> raw = style.oracle([truth], (32, 32))
    >>> raw.shape, style.decode(raw, (32, 32), 0.5)[0].boxes_N4.round().tolist()
    (torch.Size([1, 4, 4, 12]), [[3.0, 4.0, 11.0, 12.0]])
    """

    classes: int
    grid: int = 7
    boxes: int = 2
    coord: float = 5.0
    empty: float = 0.5
    name = "yolo_v1"

    def __post_init__(self) -> None:
        """Counts are whole numbers from 1 up and weights from 0 up, else UsageError."""
        check_counts(classes=self.classes, grid=self.grid, boxes=self.boxes)
        check_rates(coord=self.coord, empty=self.empty)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """box: centres and roots of sizes; objectness, where a thing is and where none is; class.

        Means over the images of the paper's sums. A box that is not to be learned (`ignored_N`)
        excuses what lies in it by half.
        """
        code, sure, kind = self._split(raw)
        image, row, col, truth = self._held(truths, size, raw.device)
        mine = code[image, row, col]  # (P, A, 4)
        wanted = self._code(truth.boxes_N4, row, col, size)[:, None]
        boxes = self._boxes(code.detach(), size)
        overlap = _each(boxes[image, row, col], truth.boxes_N4)
        slot = _answering(overlap, (mine.detach() - wanted).square().sum(-1))
        goal, blame = torch.zeros_like(sure), self._blame(boxes, truths)
        every = torch.arange(len(slot), device=raw.device)
        goal[image, row, col, slot] = overlap[every, slot]
        blame[image, row, col, slot] = 1.0
        error = (sure - goal).square() * blame
        onehot = F.one_hot(truth.labels_N, self.classes).float()
        parts = {
            "box": self.coord * (mine[every, slot] - wanted[:, 0]).square().sum(),
            "objectness": error.sum(),
            "class": (kind[image, row, col] - onehot).square().sum(),
        }
        return {name: part / max(len(truths), 1) for name, part in parts.items()}

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """Confidence times class is the score, brought into 0..1."""
        code, sure, kind = self._split(raw)
        scores = (sure[..., None] * kind[..., None, :]).clamp(0, 1)
        return candidates(self._boxes(code, size).flatten(1, 3), scores.flatten(1, 3), least)

    def oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> Tensor:
        """Every object in the cell of its centre, or in the nearest free one: x and y are linear,
        so a box may be told from afar, though the loss never asks for it.
        """
        out = torch.zeros(len(truths), self.grid, self.grid, 5 * self.boxes + self.classes)
        for image, truth in enumerate(truths):
            truth = truth.sound()
            free = torch.ones(self.grid, self.grid, dtype=torch.bool)
            for box_4, label in zip(truth.boxes_N4.cpu(), truth.labels_N.tolist(), strict=True):
                at = self._at(box_4[None], size)[0].flip(0) - 0.5  # row, column
                far = (free.nonzero() - at).square().sum(1)
                row, col = free.nonzero()[far.argmin()]
                free[row, col] = False
                out[image, row, col, :4] = self._code(box_4[None], row, col, size)[0]
                out[image, row, col, 4] = out[image, row, col, 5 * self.boxes + label] = 1.0
        return out

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, S, S, A, 4), confidences (B, S, S, A), classes (B, S, S, K)."""
        told, kind = raw.float().split([5 * self.boxes, self.classes], -1)
        told = told.unflatten(-1, (self.boxes, 5))
        return told[..., :4], told[..., 4], kind

    def _at(self, boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
        """Centres in cells: column, row, as fractions."""
        pixels = boxes_N4.new_tensor([size[1], size[0]])
        return centres(boxes_N4)[:, :2] / pixels * self.grid

    def _code(self, boxes_N4: Tensor, row: Tensor, col: Tensor, size: tuple[int, int]) -> Tensor:
        """What the cells at row, col say of these boxes."""
        pixels = boxes_N4.new_tensor([size[1], size[0]])
        share = self._at(boxes_N4, size) - torch.stack([col, row], -1)
        return torch.cat([share, (centres(boxes_N4)[:, 2:] / pixels).sqrt()], -1)

    def _boxes(self, code: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, S, S, A, 4) of x, y and roots -> x1 y1 x2 y2 in pixels."""
        cells = torch.arange(self.grid, device=code.device)
        rows, cols = torch.meshgrid(cells, cells, indexing="ij")
        pixels = code.new_tensor([size[1], size[0]])
        middle = (code[..., :2] + torch.stack([cols, rows], -1)[:, :, None]) / self.grid
        extent = code[..., 2:].clamp(min=0).square()
        return corners(torch.cat([middle * pixels, extent * pixels], -1))

    def _held(
        self, truths: Sequence[Truth], size: tuple[int, int], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Truth]:
        """Image, row and column of each object that is learned: the largest of its cell."""
        sound = [truth.sound() for truth in truths]
        image = torch.cat([torch.full((len(t.labels_N),), i) for i, t in enumerate(sound)])
        boxes = torch.cat([t.boxes_N4 for t in sound]).float().cpu()  # a loop of a few numbers
        at = self._at(boxes, size).floor().long()
        inside = ((at >= 0) & (at < self.grid)).all(1)
        cell = (image * self.grid + at[:, 1]) * self.grid + at[:, 0]
        area = centres(boxes)[:, 2:].prod(1)
        rows, taken = [], set()
        for i in area.argsort(descending=True, stable=True).tolist():
            if inside[i] and int(cell[i]) not in taken:
                taken.add(int(cell[i]))
                rows.append(i)
        labels = torch.cat([t.labels_N for t in sound]).cpu()
        keep = torch.tensor(rows, dtype=torch.int64)
        held = Truth(boxes[keep].to(device), labels[keep].to(device))
        col, row = at[keep].to(device).unbind(1)
        return image[keep].to(device), row, col, held

    def _blame(self, boxes: Tensor, truths: Sequence[Truth]) -> Tensor:
        """The weight of each confidence where nothing is: `empty`, and 0 on what is ignored."""
        blame = torch.full(boxes.shape[:-1], self.empty, device=boxes.device)
        for image, truth in enumerate(truths):
            if truth.ignored_N is not None and truth.ignored_N.any():
                ignored = truth.boxes_N4[truth.ignored_N].float().to(boxes.device)
                here = boxes[image].flatten(0, 2)
                share = box_iou(here, ignored, ignored.new_ones(len(ignored))).amax(1)
                blame[image].view(-1)[share > 0.5] = 0.0
        return blame


def _each(boxes_PA4: Tensor, truth_P4: Tensor) -> Tensor:
    """The overlap of each of a cell's boxes with the cell's object: (P, A)."""
    count = boxes_PA4.shape[1]
    again = truth_P4[:, None].expand(-1, count, -1)
    return aligned_iou(boxes_PA4.flatten(0, 1), again.flatten(0, 1)).view(-1, count)


def _answering(overlap_PA: Tensor, far_PA: Tensor) -> Tensor:
    """Which of a cell's boxes answers: the most overlap, or the nearest where none overlaps."""
    return torch.where((overlap_PA > 0).any(1), overlap_PA.argmax(1), far_PA.argmin(1))


STYLES = {YoloV1.name: YoloV1}
