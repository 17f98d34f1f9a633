"""Slots of YOLO v2 and v3: every anchor of every cell, and which of them answers for which object.

N slots in one row: scales, rows, columns, anchors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .box_code import centres, corners
from .detector import Truth
from .iou import aligned_iou, box_iou

AROUND = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]  # a cell and its neighbours
SURE = 14.0  # the logit of a perfect answer
LIKE = 0.35  # overlap of shapes from which an anchor answers, where more than one may


@dataclass(frozen=True)
class Cells:
    """Every anchor of every cell, all scales in one row: N of them."""

    cell_N2: Tensor  # column, row
    stride_N2: Tensor  # pixels a cell, x and y
    anchor_N2: Tensor
    maps: tuple[tuple[int, int, int], ...]  # of each scale: rows, columns, anchors

    @staticmethod
    def of(raw: Sequence[Tensor], anchors: Sequence[Any], size: tuple[int, int]) -> "Cells":
        """The cells of maps (.., H, W) in an input of this size (H, W)."""
        cell, stride, anchor, maps = [], [], [], []
        for (height, width), sizes in zip([m.shape[-2:] for m in raw], anchors, strict=True):
            rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            here = torch.stack([cols, rows], -1).float().view(-1, 1, 2)
            each = torch.tensor(sizes).float()
            cell.append(here.expand(-1, len(each), 2).reshape(-1, 2))
            anchor.append(each.expand(height * width, -1, 2).reshape(-1, 2))
            pixels = torch.tensor([size[1] / width, size[0] / height])
            stride.append(pixels.expand(len(cell[-1]), 2))
            maps.append((height, width, len(each)))
        cell_N2, stride_N2, anchor_N2 = (
            torch.cat(x).to(raw[0].device) for x in (cell, stride, anchor)
        )
        return Cells(cell_N2, stride_N2, anchor_N2, tuple(maps))

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

    def near(self, boxes_T4: Tensor, reach: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Slots near the objects' centres: slot_P, object_P (by slot, then object), and the overlap
        of their shapes fit_P. `reach`: in cells how far outside the slot's own cell, sideways or
        upwards, a centre may be.

        Only the cells around each centre are looked at: all would be thousands an object.
        """
        middle_T4 = centres(boxes_T4)
        slots, objects, first = [], [], 0
        for rows, cols, count in self.maps:
            at_T2 = middle_T4[:, :2] / self.stride_N2[first]
            cell = at_T2.floor()[:, None] + at_T2.new_tensor(AROUND)
            shift = at_T2[:, None] - cell - 0.5
            near = (shift.abs() <= 0.5 + reach).all(2) & (shift.abs() <= 0.5).any(2)
            if not reach:
                near &= (shift != 0.5).all(2)  # a cell's far edges are the next cells'
            inside = (cell >= 0) & (cell < cell.new_tensor([cols, rows]))
            of_Q, k_Q = (near & inside.all(2)).nonzero(as_tuple=True)
            col_Q, row_Q = cell[of_Q, k_Q].long().unbind(1)
            start_Q = first + (row_Q * cols + col_Q) * count
            slots.append((start_Q[:, None] + torch.arange(count).to(start_Q)).flatten())
            objects.append(of_Q.repeat_interleave(count))
            first += rows * cols * count
        slot_P, object_P = torch.cat(slots), torch.cat(objects)
        order = (slot_P * len(boxes_T4) + object_P).argsort()
        slot_P, object_P = slot_P[order], object_P[order]
        corner = middle_T4.new_zeros(len(slot_P), 2)
        sizes = (self.anchor_N2[slot_P], middle_T4[object_P, 2:])
        return slot_P, object_P, aligned_iou(*(torch.cat([corner, one], 1) for one in sizes))


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
    slot, object_P, fit_P = cells.near(boxes, 0.5 if reach else 0.0)
    best_T = fit_P.new_zeros(len(boxes)).scatter_reduce(0, object_P, fit_P, "amax")
    answers = fit_P == best_T[object_P]
    if reach:
        answers |= fit_P > LIKE
    slot, object_P, fit_P = slot[answers], object_P[answers], fit_P[answers]
    image = image_T.to(device)[object_P]
    rows = _one_each(image * len(cells.cell_N2) + slot, fit_P)
    return image[rows], slot[rows], object_P[rows], whole


def blamed(boxes: Tensor, goal: Tensor, truths: Sequence[Truth], *, ignore: float) -> Tensor:
    """1 for each slot whose objectness counts; 0 where it nearly found an object unasked.

    boxes (B, N, 4), goal (B, N): above 0 where a slot answers. `ignore` is the overlap with an
    object, or the share of the slot's box in one that is not to be learned, from which a slot is
    not blamed.
    """
    blame = torch.ones_like(goal)
    for image, truth in enumerate(truths):
        if len(truth.boxes_N4):
            crowd_M = None if truth.ignored_N is None else truth.ignored_N.to(boxes.device)
            iou_NM = box_iou(boxes[image], truth.boxes_N4.float().to(boxes.device), crowd_M)
            blame[image, iou_NM.amax(1) > ignore] = 0.0
    blame[goal > 0] = 1.0
    return blame


def misses(cells: Cells, code_P4: Tensor, slot_P: Tensor, true_P4: Tensor, reach: float) -> Tensor:
    """By how much the place in the cell, tw and th miss what they should be: (P, 4)."""
    wanted_P4 = cells.code(slot_P, true_P4, reach)
    place = (code_P4[:, :2].sigmoid() - wanted_P4[:, :2].sigmoid()) * (1 + 2 * reach)
    return torch.cat([place, code_P4[:, 2:] - wanted_P4[:, 2:]], 1)


def perfect(
    truths: Sequence[Truth], maps: Sequence[tuple[int, int]], anchors: Sequence[Any], *,
    size: tuple[int, int], classes: int, reach: float,
) -> list[Tensor]:  # fmt: skip
    """The maps (H, W each) of a network that is right: an object in the slot that `seated` says."""
    count = len(anchors[0])
    empty = [torch.full((len(truths), count * (5 + classes), *each), -SURE) for each in maps]
    cells, out = Cells.of(empty, anchors, size), flat(empty, classes).clone()
    for image, truth in enumerate(truths):
        for slot, box_4, label in seated(cells, truth):
            out[image, slot, :4] = cells.code(slot, box_4, reach)
            out[image, slot, 4] = out[image, slot, 5 + label] = SURE
    return unflat(out, maps, count)


def seated(cells: Cells, truth: Truth) -> Iterator[tuple[int, Tensor, int]]:
    """Slot, box and class of each object: the free slot of its cell that fits its shape best; none
    where all of them are taken.
    """
    truth, taken = truth.sound(), set()
    boxes_T4 = truth.boxes_N4.float().to(cells.cell_N2.device)
    slot_P, object_P, fit_P = cells.near(boxes_T4)
    best_first = fit_P.argsort(descending=True, stable=True)
    for i, (box_4, label) in enumerate(zip(boxes_T4, truth.labels_N.tolist(), strict=True)):
        wanted = slot_P[best_first][object_P[best_first] == i].tolist()
        free = [slot for slot in wanted if slot not in taken]
        if free:
            taken.add(free[0])
            yield free[0], box_4, label


def _one_each(place_P: Tensor, fit_P: Tensor) -> Tensor:
    """Of the objects that want one place the best-fitting gets it: rows, by place."""
    order = fit_P.argsort(descending=True, stable=True)
    place_P = place_P[order]
    size = int(place_P.max()) + 1 if len(place_P) else 0
    first = torch.full((size,), len(place_P), device=place_P.device)
    every = torch.arange(len(place_P), device=place_P.device)
    first.scatter_reduce_(0, place_P, every, "amin")
    return order[first[first < len(place_P)]]


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
