"""People of a target: a box and joints of each, whatever a data set says of them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data.letterbox import Letterbox
from ..data.sample import Prediction, Sample, Target
from ._coco import CocoScores
from .task import Metric


def people_of(target: Target, person: int, joints: int) -> Target:
    """A target -> of the things of class `person` alone: a box and joints, labelled or not, of
    each; joints that are another body's, or not finite, count as not labelled.

    >>> found = people_of(Target(keypoints_NK2=torch.tensor([[[1.0, 2.0], [5.0, 4.0]]]),
    ...                          visibility_NK=torch.tensor([[2, 1]])), 0, 2)
    >>> found.boxes_N4, found.labels
    (tensor([[1., 2., 5., 4.]]), tensor([0]))
    """
    points, seen, boxes = target.keypoints_NK2, target.visibility_NK, target.boxes_N4
    many = next((len(v) for v in (boxes, points) if v is not None), 0)
    if points is None or seen is None or points.shape != (many, joints, 2):
        points = torch.zeros(many, joints, 2)
        seen = torch.zeros(many, joints, dtype=torch.int64)
    there = (seen > 0) & points.isfinite().all(2)
    points, seen = points.float().nan_to_num(0.0, 0.0, 0.0), torch.where(there, seen, 0)
    labels = torch.full((many,), person) if target.labels is None else target.labels
    rows = labels == person
    ignored = torch.zeros(many, dtype=torch.bool) if target.ignored_N is None else target.ignored_N
    more = {name: value[rows] for name, value in target.given().items()
            if name in ("areas_N", "masks_NHW")}  # fmt: skip
    return Target(
        labels=labels[rows],
        boxes_N4=(around(points, there) if boxes is None else boxes.float())[rows],
        ignored_N=ignored.bool()[rows],
        keypoints_NK2=points[rows],
        visibility_NK=seen[rows],
        **more,
    )


def around(points_NK2: Tensor, there_NK: Tensor) -> Tensor:
    """Joints, which of them are there -> boxes_N4 around these; zeros around none.

    >>> around(torch.tensor([[[1.0, 2.0], [5.0, 4.0]]]), torch.tensor([[True, False]]))
    tensor([[1., 2., 1., 2.]])
    """
    far = torch.where(there_NK[..., None], points_NK2, torch.inf)
    low = far.amin(1)
    high = torch.where(there_NK[..., None], points_NK2, -torch.inf).amax(1)
    return torch.where(low.isfinite().all(1, keepdim=True), torch.cat([low, high], 1), 0.0)


def box_sizes(samples: Sequence[Sample], person: int, size: tuple[int, int]) -> Tensor:
    """Widths and heights of the boxes of people that have an area, in an input of `size`.

    >>> one = Target(boxes_N4=torch.tensor([[0.0, 0, 4, 8], [1, 1, 1, 3]]))
    >>> box_sizes([Sample(torch.zeros(3, 8, 8), one)], 0, (16, 16))
    tensor([[ 8., 16.]])
    """
    found = [torch.zeros(0, 2)]
    for sample in samples:
        boxes = people_of(sample.target, person, 0).boxes_N4
        assert boxes is not None
        boxes = Letterbox(sample.size, size).there(boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        found.append(sides[(sides > 0).all(1) & sides.isfinite().all(1)])
    return torch.cat(found)


def faults(sample: Sample) -> Iterator[tuple[str, str, Tensor]]:
    """A sample with key points -> id, words, and of which joints (N, K) they hold."""
    points, seen = sample.target.keypoints_NK2, sample.target.visibility_NK
    assert points is not None
    assert seen is not None
    finite, labelled = points.isfinite().all(2), seen > 0
    height, width = sample.size
    outside = (points < 0).any(2) | (points[..., 0] > width) | (points[..., 1] > height)
    yield "keypoint-not-finite", "is not a number", labelled & ~finite
    yield "keypoint-outside", "lies outside the picture", labelled & finite & outside
    yield "visibility-unknown", "has a visibility that is not 0, 1 or 2", (seen < 0) | (seen > 2)


def who_has_joints(targets: Sequence[Target]) -> int:
    """The class most of whose things have labelled joints; 0 where nothing has.

    >>> seen = torch.tensor([[0, 0], [2, 1]])
    >>> who_has_joints([Target(labels=torch.tensor([4, 7]), visibility_NK=seen)])
    7
    """
    labels = [
        t.labels[(t.visibility_NK > 0).any(1)]
        for t in targets
        if t.labels is not None and t.visibility_NK is not None
    ]
    found = torch.cat([torch.zeros(0, dtype=torch.int64), *labels])
    return int(found.mode().values) if len(found) else 0


def mean_pose(people: Sequence[Target], sizes: Sequence[tuple[int, int]]) -> Tensor:
    """People of pictures of some sizes (H, W) -> points_K2, the mean of each joint in shares of W
    and H.

    >>> one = Target(keypoints_NK2=torch.tensor([[[4.0, 2.0]]]), visibility_NK=torch.ones(1, 1))
    >>> mean_pose([one], [(8, 8)])
    tensor([[0.5000, 0.2500]])
    """
    shares, seen = [], []
    for target, (height, width) in zip(people, sizes, strict=True):
        assert target.keypoints_NK2 is not None
        assert target.visibility_NK is not None
        shares.append(target.keypoints_NK2 / torch.tensor([width, height]))
        seen.append(target.visibility_NK[..., None] > 0)
    share_NK2, seen_NK1 = torch.cat(shares), torch.cat(seen)
    return (share_NK2 * seen_NK1).sum(0) / seen_NK1.sum(0).clamp(min=1)


class PeopleScores(Metric):
    """COCO's scores of key points: things that are no people, or without joints, do not count.

    >>> there = Target(keypoints_NK2=torch.ones(1, 1, 2) * 9, visibility_NK=torch.ones(1, 1),
    ...                boxes_N4=torch.tensor([[0.0, 0, 20, 20]]))
    >>> said = Prediction(**there.given(), labels=torch.tensor([0]), scores_N=torch.ones(1))
    >>> scores = PeopleScores(["person"], 0, [0.079])
    >>> scores.update([said], [there])
    >>> scores.compute()["mAP50-95"]
    1.0
    """

    def __init__(
        self, classes: Sequence[str], person: int, sigmas: Sequence[float], *, most: int = 0
    ) -> None:
        self.coco = CocoScores(classes, "keypoints", sigmas, most=most)
        self.person = person

    @property
    def has_truths(self) -> bool:
        """Whether there is a person with a joint that was labelled."""
        return self.coco.has_truths

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """Take in a batch."""
        joints = len(self.coco.sigmas)
        people = [people_of(target, self.person, joints) for target in targets]
        self.coco.update(predictions, people)

    def compute(self) -> dict[str, float]:
        """COCO's names, with object keypoint similarity in the place of overlap."""
        return self.coco.compute()
