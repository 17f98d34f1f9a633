"""Classes of boxes: too rare to learn, named and never used, absent from the validation part."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...core.errors import shortlist
from ..boxes import unwound
from ..formats._names import slips
from ..ground import is_ground
from ..relabel import every_label
from ..source import Problem, SampleSet
from ._album import Album
from .classes import FEW, RATIO


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums of boxes -> what their class counts say, one problem a kind."""
    if not albums or unwound(albums[0].part) is None:
        return
    train = _counts(albums[0].part, len(classes))
    if not train.sum():
        message = "not one box is in train; nothing can be learned"
        yield Problem("label-no-boxes", message, part="train", do="check where the labels lie")
        return
    unused = [classes[k] for k in np.flatnonzero(train == 0).tolist()]
    if unused:
        message = f"{len(unused)} of {len(classes)} classes have no box in train: "
        yield Problem("class-empty", message + shortlist(unused, 5), "harmless", part="train")
    yield from counted_from_one([album.part for album in albums], classes)
    is_rare = (train > 0) & (train < FEW) & (train * RATIO <= train.max())
    slipped = {rare for rare, _ in slips(classes, train.tolist())}  # said by the format
    rare = [k for k in np.flatnonzero(is_rare).tolist() if k not in slipped]
    if rare:
        words = [f"{classes[k]} ({train[k]})" for k in rare]
        message = f"{len(rare)} classes have fewer than {FEW} boxes, the largest {train.max()}: "
        do = "add samples, or read the score of each class and not the mean alone"
        yield Problem("class-imbalance", message + shortlist(words, 5), "suspect", do=do,
                      part="train")  # fmt: skip
    for album in albums[1:]:
        counts = _counts(album.part, len(classes))
        missing = [
            classes[k]
            for k in np.flatnonzero((counts == 0) & (train > 0)).tolist()
            if k not in slipped
        ]
        if missing and album.name == "val":
            message = f"val has no box of {shortlist(missing, 5)}; nothing tells their score"
            yield Problem("class-not-in-val", message, "suspect", part=album.name)


def counted_from_one(parts: Sequence[SampleSet], classes: Sequence[str]) -> Iterator[Problem]:
    """Labels that count from 1: of three classes and more the first alone has no box anywhere."""
    counts_K = np.sum([_counts(part, len(classes)) for part in parts], 0)
    if len(classes) < 3 or counts_K[0] or not counts_K[1:].all() or is_ground(classes[0]):
        return
    message = (
        f"class 0 ({classes[0]}) has no box in any part and each of the other {len(classes) - 1} "
        "has: do the labels count from 1?"
    )
    do = "if so, every box is of the class behind its own: subtract 1, or correct the names"
    yield Problem("label-off-by-one", message, "suspect", do=do)


def _counts(part: SampleSet, num_classes: int) -> np.ndarray:
    """Boxes of each class, counts_K."""
    labels = every_label(part)
    values = np.zeros(0, int) if labels is None else labels.numpy()
    return np.bincount(values[values >= 0], minlength=num_classes)[:num_classes]


AUDITS = {"box-classes": look}
