"""Mask R-CNN (arXiv:1703.06870; note 003): each found thing also has a mask, one for its class.

Raw: that of `TwoStage`, then what was asked for (B, D, 6), boxes in pixels, score and class, and
the logits of its masks (B, D, 28, 28). While it learns, masks are asked of regions that hold a
thing; else of the best boxes, told apart by suppression. A row without an area is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.parts import Part
from ._labels import widen
from .detector import Found, Style, Truth, matched
from .fast_rcnn import REGION, is_region, labels_of
from .region_masks import crop_masks
from .two_stage import SURE, TwoStage

PARTS = {
    "Mask R-CNN": Part(
        "Detection and segmentation", "sn.nn.MaskedTwoStage",
        "a mask for each class in each found box, binary cross-entropy of the true class's", "003",
    )
}  # fmt: skip


@dataclass(frozen=True)
class MaskedTwoStage(Style):
    """`boxes` are the facts of `TwoStage`; the best `found` things of an image get masks.

    >>> boxes = {"classes": 2, "sides": ((8.0,),), "strides": (8,), "keep": 5}
    >>> style = MaskedTwoStage(boxes, found=3)
    >>> masks = torch.zeros(1, 32, 32, dtype=torch.bool)
    >>> masks[0, 4:12, 3:11] = True
    >>> truth = Truth(torch.tensor([[3.0, 4, 11, 12]]), torch.tensor([1]), masks_NHW=masks)
    >>> found = style.decode(style.oracle([truth], (32, 32)), (32, 32), 0.5)[0]
    >>> found.labels_N.tolist(), found.masks_NMM.shape, bool((found.masks_NMM > 0.5).all())
    ([1], torch.Size([1, 28, 28]), True)
    """

    boxes: TwoStage | Mapping[str, Any]
    found: int = 100
    size: int = 28
    name = "two_stage_masks"
    told = True

    def __post_init__(self) -> None:
        """Facts off plain JSON."""
        if not isinstance(self.boxes, TwoStage):
            object.__setattr__(self, "boxes", TwoStage(**self.boxes))

    @property
    def first(self) -> TwoStage:
        """What the boxes mean."""
        assert isinstance(self.boxes, TwoStage)
        return self.boxes

    @property
    def limits(self) -> tuple[float, float]:
        """Those of the boxes."""
        return self.first.limits

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"boxes": self.first.as_dict(), "found": self.found, "size": self.size}

    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """The parts of `TwoStage`, and of masks the mean over pixels and things."""
        *boxes, asked, masks = raw
        logits, wanted = [], []
        for asked_D6, masks_DMM, truth in zip(widen(asked), masks, truths, strict=True):
            if truth.masks_NHW is None:
                continue
            match = matched(asked_D6[:, :4], truth, REGION, best_for_each=False)
            same = labels_of(match, truth) == 1 + asked_D6[:, 5].long()
            rows = (same & (match >= 0)).nonzero()[:, 0]
            sound = truth.sound()
            assert sound.masks_NHW is not None
            true = sound.masks_NHW.to(asked.device)[match[rows]]
            wanted.append(crop_masks(true, asked_D6[rows, :4], self.size))
            logits.append(masks_DMM[rows])
        both = [torch.cat(some) if some else masks[:0, 0] for some in (logits, wanted)]
        wrong = F.binary_cross_entropy_with_logits(widen(both[0]), both[1], reduction="sum")
        parts = self.first.loss(boxes, truths, size)
        return {**parts, "mask": wrong / max(both[1].numel(), 1)}

    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """What was found, with the probability of its class in each bin of the box."""
        found = []
        for asked_D6, masks_DMM in zip(*map(widen, raw[-2:]), strict=True):
            rows = is_region(asked_D6[:, :4]) & (asked_D6[:, 4] >= least)
            box, score, label = asked_D6[rows].split([4, 1, 1], 1)
            masks = masks_DMM[rows].sigmoid()
            found.append(Found(box, score[:, 0], label[:, 0].long(), masks))
        return found

    def oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> list[Tensor]:
        """The true boxes are asked about, and the covered share of a bin is its probability."""
        most = max([self.found, *(len(truth.labels_N) for truth in truths)])
        asked = torch.zeros(len(truths), most, 6)
        masks = torch.zeros(len(truths), most, self.size, self.size)
        for image, truth in enumerate(truth.sound() for truth in truths):
            rows = range(len(truth.labels_N))
            asked[image, rows, :4] = truth.boxes_N4.float().cpu()
            asked[image, rows, 4] = 1.0
            asked[image, rows, 5] = truth.labels_N.float().cpu()
            if truth.masks_NHW is not None:
                share = crop_masks(truth.masks_NHW.cpu(), asked[image, rows, :4], self.size)
                masks[image, rows] = share.logit(eps=1e-6).clamp(-SURE, SURE)
        return [*self.first.oracle(truths, size), asked, masks]


STYLES = {MaskedTwoStage.name: MaskedTwoStage}
