"""Overlap of boxes and of masks: intersection over union, every pair at once.

Boxes are x1, y1, x2, y2, half-open, so a width is x2 - x1. What has no area (also by coordinates
in the wrong order) or is not finite overlaps with nothing: 0, never NaN. Note 001; as COCO counts.
"""

from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.parts import Part

SEEING = "Detection and segmentation"
PARTS = {
    "Intersection over union": Part(
        SEEING, "sn.nn.box_iou, sn.nn.mask_iou, sn.nn.aligned_iou",
        "shared area over joint area; half-open boxes, crowds as COCO has them", "001",
    ),
    "Generalised IoU": Part(
        SEEING, "sn.nn.aligned_giou", "IoU less the empty share of the hull: boxes apart still pull"
    ),
}  # fmt: skip


def box_area(boxes_N4: Tensor) -> Tensor:
    """boxes_N4 -> areas_N, 0 where a box has none.

    >>> box_area(torch.tensor([[1.0, 1, 3, 4], [3, 3, 1, 9]])).tolist()
    [6.0, 0.0]
    """
    check_boxes(boxes_N4, getattr(boxes_N4, "ndim", 0))
    boxes_N4 = _floats(boxes_N4)
    sides = (boxes_N4[..., 2:] - boxes_N4[..., :2]).clamp(min=0)
    return torch.nan_to_num(sides[..., 0] * sides[..., 1], nan=0.0, posinf=torch.inf)


def box_iou(boxes_N4: Tensor, others_M4: Tensor, crowd_M: Tensor | None = None) -> Tensor:
    """boxes_N4, others_M4 -> iou_NM.

    Where crowd_M is true the other is a crowd: the share of the box that lies in it counts. Raises
    UsageError for boxes that are not of four columns.

    >>> box_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2], [0, 0, 2, 2]]))
    tensor([[0.3333, 1.0000]])
    """
    check_boxes(boxes_N4, 2)
    check_boxes(others_M4, 2)
    boxes_N4, others_M4 = _floats(boxes_N4), _floats(others_M4)
    (x, y, X, Y), (u, v, U, V) = boxes_N4[:, None].unbind(2), others_M4[None].unbind(2)
    wide_NM = (torch.minimum(X, U) - torch.maximum(x, u)).clamp(min=0)
    shared_NM = wide_NM * (torch.minimum(Y, V) - torch.maximum(y, v)).clamp(min=0)
    return _ratio(shared_NM, box_area(boxes_N4)[:, None], box_area(others_M4)[None], crowd_M)


def aligned_iou(boxes_N4: Tensor, others_N4: Tensor) -> Tensor:
    """boxes_N4, others_N4 -> iou_N, row by row; gradients flow to both.

    >>> aligned_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]]))
    tensor([0.3333])
    """
    boxes_N4, others_N4 = _aligned(boxes_N4, others_N4)
    low = torch.maximum(boxes_N4[:, :2], others_N4[:, :2])
    high = torch.minimum(boxes_N4[:, 2:], others_N4[:, 2:])
    shared_N = (high - low).clamp(min=0).prod(1)
    return _ratio(shared_N, box_area(boxes_N4), box_area(others_N4))


def aligned_giou(boxes_N4: Tensor, others_N4: Tensor) -> Tensor:
    """boxes_N4, others_N4 -> giou_N in (-1, 1]: IoU less the empty share of the box around both.

    Boxes apart still have a gradient that draws them together (arXiv:1902.09630).

    >>> aligned_giou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]]))
    tensor([-0.5000])
    """
    boxes_N4, others_N4 = _aligned(boxes_N4, others_N4)
    low = torch.minimum(boxes_N4[:, :2], others_N4[:, :2])
    high = torch.maximum(boxes_N4[:, 2:], others_N4[:, 2:])
    hull_N = (high - low).clamp(min=0).prod(1)
    iou_N = aligned_iou(boxes_N4, others_N4)
    both_N = box_area(boxes_N4) + box_area(others_N4)
    union_N = both_N / (1 + iou_N)  # shared = iou * union, so both = (1 + iou) * union
    return iou_N - _quotient(hull_N - union_N, hull_N)


def mask_iou(masks_NHW: Tensor, others_MHW: Tensor, crowd_M: Tensor | None = None) -> Tensor:
    """masks_NHW, others_MHW (bool) -> iou_NM; `crowd_M` as in `box_iou`.

    >>> masks = torch.tensor([[[1, 1, 0]], [[0, 1, 1]]]).bool()
    >>> mask_iou(masks, masks[:1]).tolist()
    [[1.0], [0.3333333432674408]]
    """
    for masks in (masks_NHW, others_MHW):
        if not isinstance(masks, Tensor) or masks.ndim != 3:
            raise UsageError(f"masks of {_said(masks)}; a tensor (N, H, W) is wanted")
    if masks_NHW.shape[1:] != others_MHW.shape[1:]:
        raise UsageError(f"masks of {tuple(masks_NHW.shape)} and {tuple(others_MHW.shape)}; both "
                         "must be of pictures of one size")  # fmt: skip
    one, other = masks_NHW.flatten(1).float(), others_MHW.flatten(1).float()
    return _ratio(one @ other.T, one.sum(1)[:, None], other.sum(1)[None], crowd_M)


def check_boxes(boxes: Tensor, axes: int) -> None:
    """A tensor of so many axes whose last has four numbers, else UsageError."""
    if not isinstance(boxes, Tensor) or boxes.ndim != axes or not axes or boxes.shape[-1] != 4:
        raise UsageError(f"boxes of {_said(boxes)}; a tensor (N, 4) is wanted, each x1, y1, x2, y2")


def _said(given: Any) -> str:
    """What was given, in words."""
    if isinstance(given, Tensor):
        return f"shape {tuple(given.shape)}"
    return f"type {type(given).__name__}"


def _aligned(boxes_N4: Tensor, others_N4: Tensor) -> tuple[Tensor, Tensor]:
    """Both, sound and as floats."""
    check_boxes(boxes_N4, 2)
    check_boxes(others_N4, 2)
    if len(boxes_N4) != len(others_N4):
        raise UsageError(f"{len(boxes_N4)} boxes and {len(others_N4)} others; rows are paired")
    return _floats(boxes_N4), _floats(others_N4)


def _ratio(shared: Tensor, area: Tensor, other: Tensor, crowd: Tensor | None = None) -> Tensor:
    union = area + other - shared
    if crowd is not None:
        union = torch.where(crowd.bool(), area.expand_as(shared), union)
    return _quotient(shared, union)


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    """top / bottom, 0 where that is no number; the gradient there is 0 as well."""
    sound = (bottom > 0) & torch.isfinite(top) & torch.isfinite(bottom)
    return torch.where(sound, top, 0) / torch.where(sound, bottom, 1)


def _floats(boxes: Tensor) -> Tensor:
    """Integers overflow in products and half precision loses pixels: at least float32."""
    return boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()
