"""Labels that a simple reader does not believe: ranked suspects for a person to look at.

The reader is the leave-one-out vote of core/votes.py. It never saw the label that it judges.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ...core.errors import shortlist
from ...core.votes import DOUBT, contradiction, describe, twice
from ..source import Problem
from ..splits import generator
from ._album import Album

GROUP, GROUPS = 2000, 20  # pictures judged together; at most so many groups
LEAST = 50  # samples below which nothing is said
# Wrong labels are contradicted strongly, hard pictures weakly. The share of contradictions above
# STRONG was at most 0.041 on eight real sets; with 5 % of their labels changed 0.13 to 0.8 where
# the reader is right in more than 83 %, less where it is not.
STRONG, STRONG_SHARE, STRONG_COUNT = 0.7, 0.08, 3
RIGHT = 0.5  # a reader that is right less often accuses nobody
FEWEST = 5  # a class with fewer samples is not known well enough to judge them
SHOWN, MOST = 25, 2000  # suspects in the message, and in all
SURE, WEAK = 0.75, 0.4  # votes for the given label; few pictures a class give weak ones
CLEAR = 0.25  # share of strong contradictions from which weaker ones are wrong labels too


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """The training album -> its suspects, or that labels and pictures have nothing in common."""
    train = albums[0]
    rows = _usable(train)
    kinds, counts = np.unique(train.labels_N[rows], return_counts=True)
    if len(rows) < LEAST or len(kinds) < 2:
        return
    first_NK, second_NK, rows = votes(train, rows, len(classes))
    labels = train.labels_N[rows]
    right = float((first_NK.argmax(1) == labels).mean())
    chance = float(counts.max() / counts.sum())
    if len(rows) >= 200 and right < chance + 3 * (chance * (1 - chance) / len(rows)) ** 0.5:
        yield _unrelated(right, chance)
    if right >= RIGHT:
        yield from _suspects(train, classes, rows, (first_NK, second_NK))


def votes(
    album: Album, rows: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows -> votes_NK of all other pictures, of those that are trusted, and the rows judged."""
    rows = generator(0).permutation(rows)[: GROUP * GROUPS]
    found = []
    for group in np.array_split(rows, -(-len(rows) // GROUP)):
        features = describe(torch.from_numpy(album.thumbs_NHW[group]))
        found.append(twice(features, torch.from_numpy(album.labels_N[group]), num_classes))
    first, second = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return first, second, rows


def _usable(album: Album) -> np.ndarray:
    """Readable pictures of well-known classes that show something, no copy of one another."""
    usable = album.readable_N & ~album.is_constant() & (album.labels_N >= 0)
    usable &= album.nonfinite_N == 0
    kinds, counts = np.unique(album.labels_N[usable], return_counts=True)
    rows = np.flatnonzero(usable & np.isin(album.labels_N, kinds[counts >= FEWEST]))
    times: dict[bytes, int] = {}
    for row in rows.tolist():
        times[album.digests[row]] = times.get(album.digests[row], 0) + 1
    return np.array([row for row in rows.tolist() if times[album.digests[row]] == 1], int)


def _suspects(
    album: Album,
    classes: Sequence[str],
    rows: np.ndarray,
    votes: tuple[np.ndarray, np.ndarray],
) -> Iterator[Problem]:
    """Those that stand out; with no noise hardly any does, and they are only worth a look."""
    labels = torch.from_numpy(album.labels_N[rows])
    first, _ = contradiction(torch.from_numpy(votes[0]), labels)
    margin, other = contradiction(torch.from_numpy(votes[1]), labels)
    strong, against = int((first > STRONG).sum()), int((first > 0).sum())
    is_noisy = strong >= STRONG_COUNT and strong > STRONG_SHARE * against
    sure = float(np.median(votes[1][np.arange(len(rows)), labels.numpy()]))
    least = DOUBT if strong > CLEAR * against else STRONG if sure >= SURE else WEAK * sure
    order = margin.argsort(descending=True).numpy()
    order = order[margin[order] > least]
    if not len(order):
        return
    words = [
        f"{album.called(int(rows[i]))} ({classes[int(labels[i])]}, like {classes[int(other[i])]})"
        for i in order[:SHOWN]
    ]
    count = f"{len(order)} label{'s' * (len(order) != 1)}"
    if is_noisy:
        message = f"about {len(order)} of {len(rows)} labels look wrong"
    else:
        message = f"{count} to look at" + (" (few pictures a class: unsure)" * (sure < SURE))
    message += f", likeliest first: {shortlist(words, SHOWN)}"
    if len(order) > SHOWN:
        message += f" and {len(order) - SHOWN} more (all are in --json)"
    harm = "suspect" if is_noisy else "harmless"
    yield Problem("label-noise", message, harm, samples=tuple(rows[order[:MOST]].tolist()),
                  do="look at these pictures; correct the labels that are wrong",
                  part=album.name)  # fmt: skip


def _unrelated(right: float, chance: float) -> Problem:
    message = (
        f"pictures and labels have nothing in common: a simple reader is right in {right:.0%}, "
        f"guessing in {chance:.0%}"
    )
    do = "check that images and labels were shuffled together"
    return Problem("label-misaligned", message, "suspect", do=do, part="train")


AUDITS = {"labels": look}
