"""Of which things more than a box is asked: masks and joints of Mask R-CNN (arXiv:1703.06870)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.parts import Part
from .detector import Truth, matched
from .fast_rcnn import REGION, labels_of
from .nms import non_maximum_suppression
from .two_stage import TwoStage

PARTS = {
    "Second questions": Part(
        "Detection and segmentation", "sn.nn.ask",
        "the best boxes of Faster R-CNN, or regions of true things, to be asked for more", "003",
    )
}  # fmt: skip
LEAST, EACH = 1000, 10  # that compete in an image: at least, and of each that is asked


def ask(
    style: TwoStage,
    raw: Sequence[Tensor],
    size: tuple[int, int],
    *,
    count: int,
    told: Sequence[Truth] | None = None,
) -> Tensor:
    """Raw -> boxes, scores, classes (B, D, 6) of which more is to be known: D is `count`, or with
    the truths `told` a quarter of the regions that were read, those that hold a thing.

    >>> style = TwoStage(2, ((8.0,),), (8,), keep=5)
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]))
    >>> ask(style, style.oracle([truth], (32, 32)), (32, 32), count=2)[0, :, 5].tolist()
    [1.0, 0.0]
    """
    regions = style.split(raw)[1]
    if told is not None:
        asked = regions.new_zeros(len(regions), max(1, regions.shape[1] // 4), 6)
        for image, truth in enumerate(told):
            match = matched(regions[image], truth, REGION, best_for_each=False)
            rows = (match >= 0).nonzero()[: asked.shape[1], 0]
            asked[image, : len(rows), :4] = regions[image, rows]
            asked[image, : len(rows), 4] = 1.0
            asked[image, : len(rows), 5] = labels_of(match, truth)[rows].float() - 1
        return asked
    asked = regions.new_zeros(len(regions), count, 6)
    if asked.is_meta:
        return asked
    candidates = max(LEAST, EACH * count)
    for image, one in enumerate(style.decode(raw, size, style.score)):
        best = one.scores_N.topk(min(candidates, len(one.scores_N))).indices
        box, score, label = one.boxes_N4[best], one.scores_N[best], one.labels_N[best]
        rows = non_maximum_suppression(box, score, style.overlap, labels_N=label)[:count]
        rows_R6 = torch.cat([box[rows], score[rows, None], label[rows, None].to(box)], 1)
        asked[image, : len(rows)] = rows_R6
    return asked
