"""Non-maximum suppression: of boxes that overlap, the best-scored one stays. Note 001 (YOLO).

The greedy rule, exactly, without a Python loop over boxes: a box stays unless a better one that
stays overlaps it; the rule is applied to a block at once until nothing changes, which takes as
many rounds as the longest chain of overlaps, a handful in practice.
"""

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_positive, check_rates, check_shares
from ..core.parts import Part
from .iou import box_iou, check_boxes

PARTS = {
    "Non-maximum suppression": Part(
        "Detection and segmentation", "sn.nn.non_maximum_suppression, sn.nn.soft_suppression",
        "of boxes that overlap the best-scored stays; class by class; the soft form lowers scores",
        "001",
    )
}  # fmt: skip
BLOCK = 256  # boxes decided at once: memory grows with BLOCK x N, not with N x N


def non_maximum_suppression(
    boxes_N4: Tensor, scores_N: Tensor, iou: float = 0.5, *, labels_N: Tensor | None = None
) -> Tensor:
    """boxes_N4, scores_N -> the rows that stay, best first.

    A row goes where its overlap with a better one that stays is above `iou`; with `labels_N` only
    rows of the same class compete. Equal scores: the earlier row wins. Rows whose score or box is
    not finite never stay. Raises UsageError where the shapes do not fit or `iou` is outside [0, 1].

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> non_maximum_suppression(boxes, torch.tensor([0.5, 0.9, 0.8])).tolist()
    [1, 2]
    """
    check_shares(iou=iou)
    _refuse_misfits(boxes_N4, scores_N, labels_N)
    order = _best_first(boxes_N4, scores_N)
    boxes = boxes_N4[order]
    labels = None if labels_N is None else labels_N[order]
    rows, kept = torch.arange(len(order), device=boxes.device), []
    while len(rows):
        head, rows = rows[:BLOCK], rows[BLOCK:]
        stay = head[_survivors(_rivals(boxes, labels, head, head, iou))]
        rows = rows[~_rivals(boxes, labels, stay, rows, iou).any(0)]
        kept.append(stay)
    return order[torch.cat(kept)] if kept else order


def soft_suppression(
    boxes_N4: Tensor, scores_N: Tensor, sigma: float = 0.5, *, least: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """boxes_N4, scores_N -> rows best first, and their lowered scores (arXiv:1704.04503).

    Instead of being dropped, a box that overlaps a better one by iou has its score multiplied by
    exp(-iou^2 / sigma); rows that fall under `least` are left out. Raises UsageError where the
    shapes do not fit, sigma is not above 0 or `least` is below it.

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10]])
    >>> rows, scores = soft_suppression(boxes, torch.tensor([0.9, 0.8, 0.7]))
    >>> rows.tolist(), round(scores[2].item(), 4)
    ([0, 2, 1], 0.1083)
    """
    check_positive(sigma=sigma)
    check_rates(least=least)
    _refuse_misfits(boxes_N4, scores_N, None)
    left = _best_first(boxes_N4, scores_N)
    scores = scores_N.clone()
    rows: list[Tensor] = []
    while len(left):
        best = scores[left].argmax()  # the first of equals
        row = left[best]
        if scores[row] < least:
            break
        rows.append(row)
        left = torch.cat([left[:best], left[best + 1 :]])
        overlap = box_iou(boxes_N4[row][None], boxes_N4[left])[0]
        scores[left] = scores[left] * torch.exp(-(overlap**2) / sigma).to(scores.dtype)
    stay = torch.stack(rows) if rows else left.new_zeros(0)
    return stay, scores[stay]


def _best_first(boxes_N4: Tensor, scores_N: Tensor) -> Tensor:
    """Rows by falling score, equal ones in their order; without those that are not finite."""
    order = scores_N.argsort(descending=True, stable=True)
    sound_N = scores_N.isfinite() & boxes_N4.isfinite().all(1)
    return order[sound_N[order]]


def _rivals(
    boxes: Tensor, labels: Tensor | None, better: Tensor, worse: Tensor, iou: float
) -> Tensor:
    """Whether each of `better` would suppress each of `worse`: bool, (len(better), len(worse))."""
    over = (box_iou(boxes[better], boxes[worse]) > iou) & (better[:, None] < worse[None])
    if labels is not None:
        over &= labels[better][:, None] == labels[worse][None]
    return over


def _survivors(over_NN: Tensor) -> Tensor:
    """over[i, j]: i, which is better, would suppress j -> who stays under the greedy rule.

    The first k rows are right after k rounds, so the rule has one fixed point, and it is reached.
    """
    over = over_NN.float()
    stay = over.new_ones(len(over))
    while True:
        after = (stay @ over == 0).float()
        if torch.equal(after, stay):
            return stay.bool()
        stay = after


def _refuse_misfits(boxes_N4: Tensor, scores_N: Tensor, labels_N: Tensor | None) -> None:
    check_boxes(boxes_N4, 2)
    count = len(boxes_N4)
    for name, values in (("scores", scores_N), ("labels", labels_N)):
        if values is not None and values.shape != (count,):
            raise UsageError(f"{name} of shape {tuple(values.shape)} for {count} boxes; "
                             f"({count},) is wanted")  # fmt: skip
