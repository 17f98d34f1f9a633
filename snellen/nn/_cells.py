"""Slots of YOLO v2 and v3: every anchor of every cell, and which of them answers for which object.

N slots in one row: scales, rows, columns, anchors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .anchors import size_iou
from .box_code import centres, corners
from .detector import Truth
from .iou import box_iou

LIKE = 0.35  # overlap of shapes from which an anchor answers, where more than one may


@dataclass(frozen=True)
class Cells:
    """Every anchor of every cell, all scales in one row: N of them."""

    cell_N2: Tensor  # column, row
    stride_N2: Tensor  # pixels a cell, x and y
    anchor_N2: Tensor

    @staticmethod
    def of(raw: Sequence[Tensor], anchors: Sequence[Any], size: tuple[int, int]) -> "Cells":
        """The cells of maps (.., H, W) in an input of this size (H, W)."""
        cell, stride, anchor = [], [], []
        for (height, width), sizes in zip([m.shape[-2:] for m in raw], anchors, strict=True):
            rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            here = torch.stack([cols, rows], -1).float().view(-1, 1, 2)
            each = torch.tensor(sizes).float()
            cell.append(here.expand(-1, len(each), 2).reshape(-1, 2))
            anchor.append(each.expand(height * width, -1, 2).reshape(-1, 2))
            pixels = torch.tensor([size[1] / width, size[0] / height])
            stride.append(pixels.expand(len(cell[-1]), 2))
        return Cells(*(torch.cat(x).to(raw[0].device) for x in (cell, stride, anchor)))

    def boxes(self, code_BN4: Tensor, reach: float) -> Tensor:
        """tx, ty, tw, th -> x1 y1 x2 y2 in pixels."""
        share = code_BN4[..., :2].sigmoid() * (1 + 2 * reach) - reach
        middle = (self.cell_N2 + share) * self.stride_N2
        extent = self.anchor_N2 * code_BN4[..., 2:].clamp(max=8).exp()
        return corners(torch.cat([middle, extent], -1))

    def code(self, slot: int | Tensor, boxes: Tensor, reach: float) -> Tensor:
        """The inverse of `boxes` for some slots: (.., 4) -> tx, ty, tw, th."""
        middle, extent = centres(boxes.float()).split(2, -1)
        share = (middle / self.stride_N2[slot] - self.cell_N2[slot] + reach) / (1 + 2 * reach)
        return torch.cat([share.logit(1e-6), (extent / self.anchor_N2[slot]).log()], -1)

    def fit(self, boxes_T4: Tensor, reach: float = 0.0) -> Tensor:
        """How well each slot suits each object, (N, T): overlap of shapes, or -1 where the centre
        is further than `reach` cells outside the slot's own cell, sideways or upwards.
        """
        middle_T4 = centres(boxes_T4)
        shift = middle_T4[None, :, :2] / self.stride_N2[:, None] - self.cell_N2[:, None] - 0.5
        near = (shift.abs() <= 0.5 + reach).all(2) & ((shift.abs() <= 0.5).sum(2) >= 1)
        on_edge = (shift == 0.5).any(2) if not reach else torch.zeros_like(near)
        return torch.where(near & ~on_edge, size_iou(self.anchor_N2, middle_T4[:, 2:]), -1.0)


def answering(
    cells: Cells, truths: Sequence[Truth], reach: float
) -> tuple[Tensor, Tensor, Tensor, Truth]:
    """Who answers for which object: image_P, slot_P, object_P, and all the images' objects.

    With reach 0 it is the anchor of like shape in the cell of the object's centre. Of objects that
    want one slot the best-fitting gets it, and the others none.
    """
    device = cells.cell_N2.device
    sound = [truth.sound() for truth in truths]
    image_T = torch.cat([torch.full((len(t.labels_N),), i) for i, t in enumerate(sound)])
    boxes = torch.cat([t.boxes_N4 for t in sound]).float().to(device)
    whole = Truth(boxes, torch.cat([t.labels_N for t in sound]).to(device))
    if not len(image_T):
        none = image_T.to(device)
        return none, none, none, whole
    fit_NT = cells.fit(boxes, 0.5 if reach else 0.0)
    answers = (fit_NT == fit_NT.amax(0)) & (fit_NT >= 0)
    if reach:
        answers |= fit_NT > LIKE
    slot, object_P = answers.nonzero(as_tuple=True)
    image = image_T.to(device)[object_P]
    return *_one_each(image, slot, object_P, fit_NT), whole


def blamed(boxes: Tensor, goal: Tensor, truths: Sequence[Truth], ignore: float) -> Tensor:
    """1 for each slot whose objectness counts; 0 where it nearly found an object unasked.

    boxes (B, N, 4), goal (B, N): above 0 where a slot answers. `ignore` is the overlap with any
    object, also one that is not to be learned, from which a slot is not blamed.
    """
    blame = torch.ones_like(goal)
    for image, truth in enumerate(truths):
        if len(truth.boxes_N4):
            near = box_iou(boxes[image], truth.boxes_N4.float().to(boxes.device)).amax(1)
            blame[image, near > ignore] = 0.0
    blame[goal > 0] = 1.0
    return blame


def seated(cells: Cells, truth: Truth) -> Iterator[tuple[int, Tensor, int]]:
    """Slot, box and class of each object: the free slot of its cell that fits its shape best."""
    truth = truth.sound()
    taken: list[int] = []
    for box_4, label in zip(truth.boxes_N4.cpu(), truth.labels_N.tolist(), strict=True):
        fit_N = cells.fit(box_4[None])[:, 0].clone()
        fit_N[taken] = -1
        taken.append(int(fit_N.argmax()))
        yield taken[-1], box_4, label


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


def flat(raw: Sequence[Tensor], classes: int) -> Tensor:
    """Maps (B, A (5 + K), H, W) -> (B, N, 5 + K): rows, columns, anchors; fine scales first."""
    parts = []
    for m in raw:
        batch, _, height, width = m.shape
        split = m.view(batch, -1, 5 + classes, height, width)
        parts.append(split.permute(0, 3, 4, 1, 2).reshape(batch, -1, 5 + classes))
    return torch.cat(parts, 1)


def unflat(out: Tensor, cells: Sequence[tuple[int, int]], count: int) -> list[Tensor]:
    """Undoes `flat`."""
    maps, low = [], 0
    for height, width in cells:
        high = low + height * width * count
        part = out[:, low:high].view(len(out), height, width, count, -1)
        maps.append(part.permute(0, 3, 4, 1, 2).reshape(len(out), -1, height, width))
        low = high
    return maps
