"""Classes: too rare to learn, never seen, or two names for one thing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..source import Problem
from ._album import Album

RATIO, FEW = 10, 20  # FAULTS' class-imbalance: largest over smallest, and a minority below


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> problems of class counts and names."""
    train = albums[0]
    counts = class_counts(train, len(classes))
    yield from _names(classes)
    if not counts.sum():
        return
    for k in np.flatnonzero(counts == 0).tolist():
        message = f"class {classes[k]!r} has no sample in train"
        yield Problem("class-empty", message, do="add samples or drop the class", part="train")
    rare = (counts > 0) & (counts < FEW) & (counts * RATIO <= counts.max())
    for k in np.flatnonzero(rare).tolist():
        yield _rare(train, classes, counts, k)
    for album in albums[1:]:
        yield from _unseen(album, classes, counts)


def class_counts(album: Album, num_classes: int) -> np.ndarray:
    """Samples of each class that have a class and can be read, counts_K."""
    usable = album.labels_N[(album.labels_N >= 0) & album.readable_N]
    return np.bincount(usable, minlength=num_classes)[:num_classes]


def _rare(train: Album, classes: Sequence[str], counts: np.ndarray, k: int) -> Problem:
    rows = np.flatnonzero(train.labels_N == k).tolist()
    path = train.file(rows[0])
    message = f"class {classes[k]!r} has {counts[k]} samples; the largest has {counts.max()}"
    folder = str(Path(path).parent) if path else None
    do = "add samples, or weigh the loss; look at its recall, not at the accuracy"
    return Problem("class-imbalance", message, file=folder, samples=tuple(rows), do=do,
                   part="train")  # fmt: skip


def _unseen(album: Album, classes: Sequence[str], train: np.ndarray) -> Iterator[Problem]:
    counts = class_counts(album, len(classes))
    missing = [classes[k] for k in np.flatnonzero((counts == 0) & (train > 0)).tolist()]
    if missing and counts.sum():
        message = f"{album.name} has no sample of {', '.join(missing[:5])}; nothing tells its score"
        yield Problem("class-not-in-val", message, harm="suspect", part=album.name)


def _names(classes: Sequence[str]) -> Iterator[Problem]:
    alike = defaultdict(list)
    for name in classes:
        alike[name.strip().casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            message = f"classes {', '.join(map(repr, names))} differ only by case or blanks"
            yield Problem("class-names-alike", message, do="make them one, or rename one")


AUDITS = {"classes": look}
