"""Things with a box and a class: those that can be learned, those that are drawn, the mean one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..data.letterbox import Letterbox
from ..data.relabel import OF_THINGS
from ..data.sample import Prediction, Sample, Target
from ..nn.box_code import clip_boxes
from ..nn.detector import Found, Truth
from ..nn.iou import box_area

FAINT = 1e-6  # the score of a thing that is nowhere
SHOWN = 0.3  # the least score that is drawn
ROOM = 2  # times as many as the fullest picture holds, where that is more than is usual


def of_known_classes(sample: Sample, count: int) -> Sample:
    """A sample without the things whose class is none of 0..count - 1.

    >>> target = Target(labels=torch.tensor([0, 2, -1]), boxes_N4=torch.zeros(3, 4))
    >>> of_known_classes(Sample(torch.zeros(1, 8, 8), target), 2).target.labels
    tensor([0])
    """
    labels = sample.target.labels
    if labels is None:
        return sample
    rows = (labels >= 0) & (labels < count)
    if bool(rows.all()):
        return sample
    kept = {k: v[rows] for k, v in sample.target.given().items() if k in ("labels", *OF_THINGS)}
    return replace(sample, target=replace(sample.target, **kept))


def most_told(targets: Iterable[Target], count: int, usual: int) -> int:
    """Targets -> how many things of a picture are to be told: `usual`, or ROOM times as many of the
    classes 0..count - 1 as the fullest holds where these are more.

    >>> few, many = (Target(labels=torch.zeros(n, dtype=torch.int64)) for n in (9, 130))
    >>> most_told([few], 1, 100), most_told([few, many], 1, 100)
    (100, 260)
    """
    labels = (t.labels for t in targets if t.labels is not None)
    fullest = max((int(((one >= 0) & (one < count)).sum()) for one in labels), default=0)
    return usual if fullest <= usual else ROOM * fullest


def make_room(net: nn.Module, most: int, usual: int) -> None:
    """Have a network whose head looks at so many places tell `most` things, if above `usual`."""
    grow = getattr(getattr(net, "head", None), "make_room", None)
    if grow is not None and most > usual:
        grow(most)


def mean_boxes(targets: Sequence[Target], count: int) -> Prediction:
    """Targets -> the mean box of each of `count` classes, scored by how often it occurs; of
    those to be learned.

    >>> target = Target(labels=torch.tensor([1]), boxes_N4=torch.tensor([[0.0, 0, 4, 2]]))
    >>> mean_boxes([target], 3).boxes_N4.tolist()
    [[0.0, 0.0, 4.0, 2.0]]
    """
    sound = [
        Truth(t.boxes_N4, t.labels, t.ignored_N).sound()
        for t in targets
        if t.boxes_N4 is not None and t.labels is not None
    ]
    boxes = torch.cat([torch.zeros(0, 4), *(t.boxes_N4.float() for t in sound)])
    labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(t.labels_N for t in sound)])
    known = torch.tensor([k for k in range(count) if bool((labels == k).any())], dtype=torch.int64)
    mean = [boxes[labels == k].mean(0) for k in known]
    share_N = (labels == known[:, None]).sum(1) / max(len(labels), 1)
    boxes_N4 = torch.stack(mean) if mean else boxes[:0]
    return Prediction(labels=known, boxes_N4=boxes_N4, scores_N=share_N)


def in_picture(found: Found, frame: Letterbox) -> Found:
    """What was found, without the boxes of which no part lies in the picture.

    >>> boxes = torch.tensor([[2.0, 2, 60, 8], [2.0, 50, 6, 60]])
    >>> found = Found(boxes, torch.ones(2), torch.tensor([3, 4]))
    >>> in_picture(found, Letterbox((40, 64), (64, 64))).labels_N
    tensor([3])
    """
    rows = box_area(clip_boxes(found.boxes_N4, frame.inner)) > 0
    masks_NMM = None if found.masks_NMM is None else found.masks_NMM[rows]
    return Found(found.boxes_N4[rows], found.scores_N[rows], found.labels_N[rows], masks_NMM)


def shown(target: Target, names: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Which things of a target or a prediction are drawn, and the word beside each.

    >>> said = Prediction(labels=torch.tensor([0, 1]), scores_N=torch.tensor([0.1, 0.9]))
    >>> shown(said, ["a", "b"])
    (tensor([1]), ['b 0.90'])
    """
    assert target.labels is not None
    scores = getattr(target, "scores_N", None)
    if scores is None:
        return torch.arange(len(target.labels)), [_word(k, names) for k in target.labels.tolist()]
    rows = (scores >= SHOWN).nonzero()[:, 0]
    said = zip(target.labels[rows].tolist(), scores[rows].tolist(), strict=True)
    return rows, [f"{names[k]} {score:.2f}" for k, score in said]


def _word(label: int, names: Sequence[str]) -> str:
    return names[label] if 0 <= label < len(names) else f"class {label}"


def best_of_each(found: Sequence[Found], count: int) -> Tensor:
    """Candidates of B images -> log-odds_BK of the best of each class, of none those of FAINT.

    >>> one = Found(torch.zeros(3, 4), torch.tensor([0.5, 0.9, 0.2]), torch.tensor([1, 1, 0]))
    >>> best_of_each([one], 3).sigmoid()
    tensor([[2.0000e-01, 9.0000e-01, 1.0000e-06]])
    """
    rows = []
    for one in found:
        least_K = one.scores_N.new_full((count,), FAINT).logit()
        odds_N = one.scores_N.logit(eps=FAINT)
        rows.append(least_K.scatter_reduce(0, one.labels_N, odds_N, "amax"))
    return torch.stack(rows)
