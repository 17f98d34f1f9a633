"""Joints of regions, Mask R-CNN section 5 (arXiv:1703.06870; note 003): a map of 56 x 56 bins a
joint, in which one bin is right. The loss is a softmax over the bins; the largest is read off.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._labels import widen

PARTS = {
    "Joints of regions": Part(
        "Detection and segmentation", "sn.nn.joint_loss, sn.nn.read_joints, sn.nn.right_bins",
        "a softmax over the bins of a box for each joint, and back to pixels", "003",
    )
}  # fmt: skip


def joint_loss(
    logits_NJMM: Tensor, boxes_N4: Tensor, points_NJ2: Tensor, *, seen_NJ: Tensor
) -> Tensor:
    """Logits of joints in boxes, where they are in pixels, visibility -> the mean cross-entropy of
    the right bin. Joints that are not labelled (0) or outside of the box teach nothing.

    >>> logits = torch.zeros(1, 1, 4, 4)
    >>> box, point = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[[3.0, 5.0]]])
    >>> round(joint_loss(logits, box, point, seen_NJ=torch.tensor([[2]])).exp().item(), 4)
    16.0
    """
    inside_NJ, right_NJ = right_bins(boxes_N4, points_NJ2, logits_NJMM.shape[-1])
    learned = (seen_NJ > 0) & inside_NJ
    wrong = F.cross_entropy(
        widen(logits_NJMM[learned].flatten(1)), right_NJ[learned], reduction="sum"
    )
    return wrong / max(int(learned.sum()), 1)


def right_bins(boxes_N4: Tensor, points_NJ2: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Boxes and points -> whether each lies in its box, and its bin in the order of rows.

    >>> right_bins(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[[3.0, 5.0], [9, 9]]]), 4)
    (tensor([[ True, False]]), tensor([[9, 0]]))
    """
    side = (boxes_N4[:, None, 2:] - boxes_N4[:, None, :2]).clamp(min=1e-6)
    place = (points_NJ2 - boxes_N4[:, None, :2]) / side
    place = torch.where(place == 1, 1 - 0.5 / bins, place)  # on the far edge: in the last bin
    inside_NJ = (place >= 0).all(-1) & (place < 1).all(-1)  # false for NaN
    col, row = (torch.where(inside_NJ[..., None], place, 0) * bins).long().unbind(-1)
    return inside_NJ, row * bins + col


def read_joints(logits_NJMM: Tensor, boxes_N4: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and boxes -> points_NJ2 in pixels, the middle of the largest bin, and its probability.

    >>> logits = torch.zeros(1, 1, 4, 4)
    >>> logits[0, 0, 2, 1] = 9.0
    >>> read_joints(logits, torch.tensor([[0.0, 0, 8, 8]]))[0].tolist()
    [[[3.0, 5.0]]]
    """
    bins = logits_NJMM.shape[-1]
    score_NJ, at_NJ = logits_NJMM.flatten(2).softmax(-1).max(-1)
    place = torch.stack([at_NJ % bins, at_NJ // bins], -1) + 0.5
    side = boxes_N4[:, None, 2:] - boxes_N4[:, None, :2]
    return boxes_N4[:, None, :2] + place / bins * side, score_NJ
