"""Joints in Mask R-CNN (arXiv:1703.06870 section 5; note 003): each person that is found also has
a map for each joint, in which one bin is right.

Raw: that of `TwoStage` for one class, then who was asked about (B, D, 6), boxes in pixels, score
and class, and the logits of their joints (B, D, J, 56, 56). While it learns, joints are asked of
regions that hold a person; else of the best boxes. A row without an area is nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..core.parts import Part
from ._labels import widen
from .crowd import Crowd, PoseStyle
from .detector import Truth, matched
from .fast_rcnn import REGION, is_region
from .region_joints import joint_loss, read_joints, right_bins
from .two_stage import SURE, TwoStage

PARTS = {
    "Keypoint R-CNN": Part(
        "Detection and segmentation", "sn.nn.JointedTwoStage",
        "people top-down: a softmax over the bins of a found box for each joint", "003",
    )
}  # fmt: skip
FOUND = 4.0  # times as likely as by chance the best bin of a joint is, or the joint was not found


@dataclass(frozen=True)
class JointedTwoStage(PoseStyle):
    """`boxes` are the facts of `TwoStage`; a joint has size x size bins.

    >>> boxes = {"classes": 1, "sides": ((16.0,),), "strides": (8,), "keep": 5}
    >>> style = JointedTwoStage(boxes, joints=2)
    >>> there = Crowd(torch.tensor([[[8.0, 9.0], [20.0, 9.0]]]), torch.tensor([[2, 0]]),
    ...               boxes_N4=torch.tensor([[4.0, 4, 32, 32]]))
    >>> found = style.decode(style.oracle([there], (32, 32)), (32, 32))[0]
    >>> found.points_NK2[0, 0].tolist(), found.seen_NK.tolist()
    ([8.25, 9.25], [[True, False]])
    """

    boxes: TwoStage | Mapping[str, Any]
    joints: int
    size: int = 56
    name = "two_stage_joints"
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

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"boxes": self.first.as_dict(), "joints": self.joints, "size": self.size}

    def beyond(self, crowd: Crowd) -> Tensor:
        """How far each labelled joint is from its box that lies more than a bin outside."""
        boxes, rows = _boxes(crowd), _sound_rows(crowd)
        points = self._within(crowd)
        off_NK = (points - _clamped(points, boxes)).abs().amax(2)
        return off_NK[rows][(off_NK[rows] > 0) & (crowd.seen_NK[rows] > 0)]

    def _within(self, crowd: Crowd) -> Tensor:
        """points_NK2, those that lie at most a bin beside their box on its edge: where boxes are
        drawn around joints and rounded, the outermost lie just outside.
        """
        boxes = _boxes(crowd)
        bin_N2 = (boxes[:, 2:] - boxes[:, :2]) / self.size
        inside = _clamped(crowd.points_NK2, boxes)
        off_NK2 = (crowd.points_NK2 - inside).abs()
        near_NK = (off_NK2 <= bin_N2[:, None]).all(2, keepdim=True)
        return torch.where(near_NK, inside, crowd.points_NK2)

    def heard(self, truths: Sequence[Crowd]) -> list[Truth]:
        """Boxes to be found, and those around people without labels, which are to be ignored."""
        heard = []
        for crowd in truths:
            boxes, unknown = _boxes(crowd), crowd.unknown_U4
            unknown = boxes[:0] if unknown is None else unknown.to(boxes)
            both = torch.cat([boxes, unknown])
            ignored = torch.arange(len(both)) >= len(boxes)
            heard.append(Truth(both, ignored.long() * 0, ignored))
        return heard

    def loss(self, raw: Any, truths: Sequence[Crowd], size: tuple[int, int]) -> dict[str, Tensor]:
        """The parts of `TwoStage`, and of joints the mean over those that lie in a box."""
        *boxes, asked, said = raw
        heard, logits, where, points, seen = self.heard(truths), [], [], [], []
        for asked_D6, said_D, crowd, truth in zip(widen(asked), said, truths, heard, strict=True):
            match = matched(asked_D6[:, :4], truth, REGION, best_for_each=False)
            rows = ((match >= 0) & is_region(asked_D6[:, :4])).nonzero()[:, 0]
            person = _sound_rows(crowd).to(match.device)[match[rows]].to(crowd.points_NK2.device)
            logits.append(said_D[rows])
            where.append(asked_D6[rows, :4])
            points.append(self._within(crowd)[person].to(where[-1]))
            seen.append(crowd.seen_NK[person].to(rows.device))
        joints = joint_loss(
            torch.cat(logits), torch.cat(where), torch.cat(points), seen_NJ=torch.cat(seen)
        )
        return {**self.first.loss(boxes, heard, size), "joints": joints}

    def decode(self, raw: Any, size: tuple[int, int]) -> list[Crowd]:
        """Who was found, where the likeliest bins of their joints are, and the score of the box."""
        crowds = []
        for asked_D6, said_D in zip(*(widen(v.detach().cpu()) for v in raw[-2:]), strict=True):
            rows = is_region(asked_D6[:, :4]) & (asked_D6[:, 4] >= self.first.score)
            box, score = asked_D6[rows, :4], asked_D6[rows, 4]
            points, sure = read_joints(said_D[rows], box)
            found = sure >= FOUND / said_D[0, 0].numel()
            crowds.append(Crowd(points, found, score, boxes_N4=box))
        return crowds

    def firmest(self, raw: Any) -> Tensor:
        """The best bin of each joint of the person with the highest score."""
        asked_BD6, said = raw[-2:]
        best_B = asked_BD6[..., 4].argmax(1)
        return said[torch.arange(len(said), device=best_B.device), best_B].amax((2, 3))

    def oracle(self, truths: Sequence[Crowd], size: tuple[int, int]) -> list[Tensor]:
        """The true boxes are asked about, and the right bins are said."""
        heard = self.heard(truths)
        most = max([1, *(len(truth.labels_N) for truth in heard)])
        asked = torch.zeros(len(truths), most, 6)
        said = torch.zeros(len(truths), most, self.joints, self.size**2)
        for image, (crowd, truth) in enumerate(zip(truths, heard, strict=True)):
            boxes, rows = truth.sound().boxes_N4.float().cpu(), _sound_rows(crowd).cpu()
            asked[image, : len(boxes), :4] = boxes
            asked[image, : len(boxes), 4] = 1.0
            points, seen = self._within(crowd).cpu()[rows], crowd.seen_NK.cpu()[rows]
            inside, bins = right_bins(boxes, points, self.size)
            person, joint = ((seen > 0) & inside).nonzero(as_tuple=True)
            said[image, person, joint, bins[person, joint]] = SURE
        maps = said.unflatten(3, (self.size, self.size))
        return [*self.first.oracle(heard, size), asked, maps]


def _boxes(crowd: Crowd) -> Tensor:
    none = crowd.points_NK2.new_zeros(len(crowd.points_NK2), 4)
    return none if crowd.boxes_N4 is None else crowd.boxes_N4


def _clamped(points_NK2: Tensor, boxes_N4: Tensor) -> Tensor:
    return points_NK2.clamp(boxes_N4[:, None, :2], boxes_N4[:, None, 2:])


def _sound_rows(crowd: Crowd) -> Tensor:
    """Which people are to be found: those whose boxes have an area."""
    boxes = _boxes(crowd)
    return Truth(boxes, torch.arange(len(boxes), device=boxes.device)).sound().labels_N
