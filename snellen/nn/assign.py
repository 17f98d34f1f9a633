"""Which reference box answers for which object, and which empty ones are worth learning from.

Faster R-CNN (arXiv:1506.01497) and SSD (arXiv:1512.02325): by overlap; note 001, positive and
negative samples.
"""

import torch
from torch import Tensor

from ..core.parts import Part

SEEING = "Detection and segmentation"
PARTS = {
    "Positive and negative samples": Part(
        SEEING, "sn.nn.assign_by_iou, sn.nn.own_references",
        "above one overlap an object, below another background; SSD: each its own first", "001",
    ),
    "Hard negatives": Part(
        SEEING, "sn.nn.hard_negatives", "the worst-answered background, 3 for each positive", "004"
    ),
    "Balanced sampling": Part(
        SEEING, "sn.nn.sample_rois", "a share of positives, filled up with background", "004"
    ),
}  # fmt: skip
BACKGROUND, NEITHER = -1, -2
WORD = 32  # bits of a number of single precision


def assign_by_iou(
    iou_NM: Tensor,
    high: float = 0.5,
    low: float = 0.5,
    *,
    best_for_each: bool = True,
    own: bool = False,
) -> Tensor:
    """iou_NM of N references and M objects -> match_N: the object, BACKGROUND or NEITHER.

    Overlap of at least `high` is a match, below `low` background, between them neither. With
    `best_for_each` an object that overlaps anything also gets the references that overlap it
    most (ties all), however little; of two objects that want one reference the one with the
    larger overlap gets it. With `own`, as in SSD, it gets one reference that is its own: see
    `own_references`. Without objects everything is background.

    >>> iou = torch.tensor([[0.6, 0.1], [0.35, 0.2], [0.0, 0.3]])
    >>> assign_by_iou(iou, 0.5, 0.3).tolist()
    [0, -2, 1]
    >>> crowded = torch.tensor([[0.6, 0.4], [0.3, 0.38]])
    >>> assign_by_iou(crowded).tolist(), assign_by_iou(crowded, own=True).tolist()
    ([0, -1], [0, 1])
    """
    if not iou_NM.shape[1]:
        return torch.full((len(iou_NM),), BACKGROUND, device=iou_NM.device)
    best_N, object_N = iou_NM.max(1)
    match_N = torch.where(best_N >= high, object_N, NEITHER)
    match_N = torch.where(best_N < low, BACKGROUND, match_N)
    if own:
        match_N = torch.cat([match_N, match_N.new_zeros(1)])  # the last one for those without
        match_N[own_references(iou_NM)] = torch.arange(iou_NM.shape[1], device=iou_NM.device)
        match_N = match_N[:-1]
    elif best_for_each and len(iou_NM):
        top_M = iou_NM.amax(0)
        wanted_NM = (iou_NM == top_M) & (top_M > 0)
        rows = wanted_NM.any(1)
        match_N[rows] = iou_NM[rows].where(wanted_NM[rows], -1).argmax(1)
    return match_N


def own_references(iou_NM: Tensor) -> Tensor:
    """iou_NM -> row_M: each object's own reference, -1 where none is left that overlaps it.

    Pairs are taken by falling overlap, as in MultiBox and SSD: the largest first, and neither its
    reference nor its object again; of equal overlaps (in single precision) the earlier row and
    object. Of M objects each can lose M - 1 references to others, so the M best of each are
    enough: these alone leave the device, at once.

    >>> own_references(torch.tensor([[0.6, 0.4], [0.3, 0.38]])).tolist()
    [0, 1]
    """
    count, objects = iou_NM.shape
    kept = min(count, objects)
    bits_MN = iou_NM.T.float().contiguous().view(torch.int32).long()  # ordered as what they mean
    key_MN = (bits_MN << WORD) - torch.arange(count, device=iou_NM.device)  # earlier rows first
    best_MK = key_MN.topk(kept, 1).values
    key_P, place_P = best_MK.flatten().sort(descending=True, stable=True)
    own = [-1] * objects
    taken: set[int] = set()
    for key, place in zip(*torch.stack([key_P, place_P]).tolist(), strict=True):
        row, thing = -key % 2**WORD, place // kept
        if key <= 0 or len(taken) == objects:
            break
        if own[thing] < 0 and row not in taken:
            own[thing] = row
            taken.add(row)
    return torch.tensor(own, dtype=torch.int64, device=iou_NM.device)


def hard_negatives(
    loss_BN: Tensor, match_BN: Tensor, ratio: float = 3.0, *, least: int = 0
) -> Tensor:
    """loss_BN of the background class, match_BN (>= 0 an object) -> bool_BN: negatives to learn.

    Of each image's background rows the `ratio` x positives with the largest loss, `least` where
    that is fewer; of equal losses the earlier rows.

    >>> hard_negatives(torch.tensor([[9.0, 1, 3, 2, 0]]), torch.tensor([[0, -1, -1, -1, -1]]), 2)
    tensor([[False, False,  True,  True, False]])
    """
    negative_BN = match_BN == BACKGROUND
    count_B1 = ((match_BN >= 0).sum(1, keepdim=True) * ratio).long().clamp(min=least)
    loss_BN = torch.nan_to_num(loss_BN.detach(), nan=torch.inf)  # a lost answer is the hardest
    loss_BN = loss_BN.masked_fill(~negative_BN, -torch.inf)
    order_BN = loss_BN.argsort(dim=1, descending=True, stable=True)
    rank_BN = order_BN.argsort(1)
    return negative_BN & (rank_BN < count_B1)


def sample_rois(
    match_N: Tensor, count: int, share: float = 0.25, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """match_N -> rows of positives (at most share x count) and of background to fill up to count.

    >>> positive, negative = sample_rois(torch.tensor([0, -1, -1, -2, -1]), 4, 0.5)
    >>> positive.tolist(), sorted(negative.tolist())
    ([0], [1, 2, 4])
    """
    positive, negative = (match_N >= 0).nonzero()[:, 0], (match_N == BACKGROUND).nonzero()[:, 0]
    positive = _some(positive, int(count * share), generator)
    return positive, _some(negative, count - len(positive), generator)


def _some(rows: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    if len(rows) <= count:
        return rows
    return rows[torch.randperm(len(rows), generator=generator).to(rows.device)[:count]]
