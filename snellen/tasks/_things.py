"""Things with a box and a class: those that can be learned, those that are drawn, the mean one."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..data.relabel import OF_THINGS
from ..data.sample import Prediction, Sample, Target

SHOWN = 0.3  # the least score that is drawn


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


def mean_boxes(targets: Sequence[Target], count: int) -> Prediction:
    """Targets -> the mean box of each of `count` classes, scored by how often it occurs.

    >>> target = Target(labels=torch.tensor([1]), boxes_N4=torch.tensor([[0.0, 0, 4, 2]]))
    >>> mean_boxes([target], 3).boxes_N4.tolist()
    [[0.0, 0.0, 4.0, 2.0]]
    """
    boxes = torch.cat([t.boxes_N4 for t in targets if t.boxes_N4 is not None])
    labels = torch.cat([t.labels for t in targets if t.labels is not None])
    known = [k for k in range(count) if bool((labels == k).any())]
    mean = torch.stack([boxes[labels == k].mean(0) for k in known])
    share = torch.tensor([float((labels == k).sum()) for k in known]) / max(len(labels), 1)
    return Prediction(labels=torch.tensor(known), boxes_N4=mean, scores_N=share)


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
