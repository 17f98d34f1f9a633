"""Fast R-CNN (arXiv:1504.08083; notes 003, 004): given regions are read off shared features, and
one network says of each what it is and moves its box. Both are learned at once, with the body.

A region answers for the thing it overlaps by half. The loss is the cross-entropy of nothing and of
K classes over all that were learned from, and smooth L1 of the true class's code where there is a
thing. A region without an area is none. Faster R-CNN's second stage is this with its own proposals.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.parts import Part
from ._labels import widen
from .assign import BACKGROUND, sample_rois
from .box_code import clip_boxes, decode_boxes, encode_boxes
from .detector import Found, Truth, matched
from .region_pool import roi_pool

PARTS = {
    "Fast R-CNN": Part(
        "Detection and segmentation", "sn.nn.FastRcnn, sn.nn.region_loss",
        "given regions pooled off shared features; class and box learned at once, with the body",
        "003 004",
    )
}  # fmt: skip
REGION, REGION_SHARE = (0.5, 0.5), 0.25  # overlap: a thing from, nothing below; share of things
VARIANCES = (0.1, 0.1, 0.2, 0.2)  # of the codes of regions
BEND = 1 / 9  # where smooth L1 turns from square to straight


class FastRcnn(nn.Module):
    """x_BCHW and regions (B, P, 4) in pixels -> them, logits (B, P, 1 + K), codes (B, P, 4 + 4K).

    `body` gives a map of `width` channels, a cell `stride` pixels; `hidden` numbers tell a region.
    `region_loss` learns from the answer, `judged_things` reads it.

    >>> net = FastRcnn(nn.Conv2d(3, 8, 3, 4, 1), 8, 4, classes=2)
    >>> boxes = torch.tensor([[[3.0, 4, 11, 12], [0, 0, 30, 20]]])
    >>> [tuple(v.shape) for v in net(torch.zeros(1, 3, 32, 32), boxes)]
    [(1, 2, 4), (1, 2, 3), (1, 2, 12)]
    """

    def __init__(
        self,
        body: nn.Module,
        width: int,
        stride: float,
        *,
        classes: int,
        bins: int = 3,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.body, self.stride, self.bins = body, stride, bins
        self.shared = nn.Sequential(nn.Linear(width * bins**2, hidden), nn.ReLU())
        self.logits = nn.Linear(hidden, 1 + classes)
        self.codes = nn.Linear(hidden, 4 * (1 + classes))

    def forward(self, x_BCHW: Tensor, regions_BP4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_BCHW, regions -> regions, logits, codes."""
        pooled = roi_pool(self.body(x_BCHW), regions_BP4, self.bins, stride=self.stride)
        return regions_BP4, *self.judge(pooled)

    def judge(self, pooled_BPCMM: Tensor) -> tuple[Tensor, Tensor]:
        """Regions, pooled -> logits and codes."""
        told = self.shared(pooled_BPCMM.flatten(2))
        return self.logits(told), self.codes(told)


def region_loss(judged: Sequence[Tensor], truths: Sequence[Truth]) -> dict[str, Tensor]:
    """Regions, logits, codes and the truth -> "class" and "box", means over those learned from.

    >>> truth = Truth(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]))
    >>> judged = torch.tensor([[[0.0, 0, 8, 8], [20, 20, 28, 28]]]), torch.zeros(1, 2, 2)
    >>> parts = region_loss([*judged, torch.zeros(1, 2, 8)], [truth])
    >>> round(float(parts["class"].exp()), 4), float(parts["box"])
    (2.0, 0.0)
    """
    regions, logits, codes = judged
    where, labels, wanted = [], [], []
    for region_P4, truth in zip(regions, truths, strict=True):
        match_P = matched(region_P4, truth, REGION, best_for_each=False)
        where.append((match_P >= BACKGROUND) & is_region(region_P4))
        labels.append(labels_of(match_P, truth))
        wanted.append(encode_boxes(boxes_of(match_P, truth), region_P4, VARIANCES))
    learned, label, code = torch.stack(where), torch.stack(labels), torch.stack(wanted)
    count = max(int(learned.sum()), 1)
    own = codes.unflatten(2, (-1, 4)).take_along_dim(label[..., None, None], 2)[:, :, 0]
    thing = learned & (label > 0)
    box = F.smooth_l1_loss(own[thing], code[thing], reduction="sum", beta=BEND)
    wrong = F.cross_entropy(logits[learned], label[learned], reduction="sum")
    return {"class": wrong / count, "box": box / count}


def judged_things(judged: Sequence[Tensor], size: tuple[int, int], least: float) -> list[Found]:
    """Regions, logits, codes -> what is there, before suppression: the probability of a class is
    the score, each class of a region has a box of its own.
    """
    regions, logits, codes = judged
    scores = logits.softmax(-1)[..., 1:] * is_region(regions)[..., None]
    boxes = decode_boxes(codes.unflatten(2, (-1, 4)), regions[:, :, None], VARIANCES)
    boxes, found = clip_boxes(boxes[:, :, 1:], size), []
    for boxes_PK4, scores_PK in zip(boxes, scores, strict=True):
        row, label = ((scores_PK >= least) & (scores_PK > 0)).nonzero(as_tuple=True)
        found.append(Found(boxes_PK4[row, label], scores_PK[row, label], label))
    return found


def sample_regions(regions_BP4: Tensor, truths: Sequence[Truth], count: int) -> Tensor:
    """Proposals and the truth -> a sample of both to learn from, (B, count, 4): at most a quarter
    hold a thing; rows that are left over are zeros.
    """
    drawn = regions_BP4.new_zeros(len(regions_BP4), count, 4)
    for image, truth in enumerate(truths):
        boxes = torch.cat([regions_BP4[image], truth.sound().boxes_N4.to(drawn)])
        boxes = boxes[is_region(boxes)]
        match = matched(boxes, truth, REGION, best_for_each=False)
        rows = torch.cat(sample_rois(match, count, REGION_SHARE))
        drawn[image, : len(rows)] = boxes[rows]
    return drawn


def is_region(boxes_N4: Tensor) -> Tensor:
    """boxes_N4 -> which are regions: those with an area that are finite.

    >>> is_region(torch.tensor([[0.0, 0, 2, 2], [0, 0, 0, 0]]))
    tensor([ True, False])
    """
    return (boxes_N4[..., 2:] > boxes_N4[..., :2]).all(-1) & boxes_N4.isfinite().all(-1)


def labels_of(match_N: Tensor, truth: Truth) -> Tensor:
    """match_N of `matched` -> 1 + the class of each, 0 where it answers for no thing.

    >>> truth = Truth(torch.zeros(1, 4).add(torch.tensor([0, 0, 1, 1])), torch.tensor([4]))
    >>> labels_of(torch.tensor([0, -1]), truth)
    tensor([5, 0])
    """
    labels = torch.cat([1 + truth.sound().labels_N.to(match_N), match_N.new_zeros(1)])
    return labels[match_N.clamp(min=-1)]


def boxes_of(match_N: Tensor, truth: Truth) -> Tensor:
    """match_N of `matched` -> the box of each one's thing, zeros where it answers for none.

    >>> truth = Truth(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([4]))
    >>> boxes_of(torch.tensor([-1, 0]), truth).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    """
    boxes = widen(truth.sound().boxes_N4).to(match_N.device)
    return torch.cat([boxes, boxes.new_zeros(1, 4)])[match_N.clamp(min=-1)]
