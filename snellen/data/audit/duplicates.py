"""The same picture twice: in train and val (a leak), under two labels, or merely again.

Exact copies by a digest of the decoded pixels; near ones (another JPEG quality, size, brightness,
or mirrored) by the correlation of 32 x 32 thumbnails. Measured: distinct pictures of eight real
sets stay below 0.9960, and copies above 0.999; those that lost more are suspects, see _resaved.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..source import Problem
from ..splits import generator
from ._album import Album
from ._resaved import resaved

NEAR = 0.998
MOST = 25_000  # pictures compared with one another; all pairs of 25,000 take some ten seconds
Place = tuple[int, int]  # album, row


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> leaks, conflicts and repetitions."""
    shown = [np.flatnonzero(album.readable_N & ~album.is_constant()) for album in albums]
    places = [(a, row) for a, rows in enumerate(shown) for row in rows.tolist()]
    first: dict[bytes, Place] = {}
    kept = []
    for place in places:
        digest = albums[place[0]].digests[place[1]]
        if digest in first:
            yield _problem(albums, classes, (first[digest], place), "the same picture as")
        else:
            first[digest] = place
            kept.append(place)
    if len(kept) > MOST:
        message = f"near copies were looked for among {MOST:,} of {len(kept):,} pictures"
        yield Problem("audit-sampled", message, harm="harmless")
        kept = [kept[i] for i in sorted(generator(0).permutation(len(kept))[:MOST].tolist())]
    again: set[Place] = set()
    for pair, is_mirrored in near_pairs(albums, kept):
        same = "the mirror image of" if is_mirrored else "nearly the same picture as"
        again.add(pair[1])
        yield _problem(albums, classes, pair, same)
    for pair in resaved_pairs(albums, [place for place in kept if place not in again]):
        problem = _problem(
            albums,
            classes,
            pair,
            "probably the same picture, saved anew or taken a moment apart, as",
        )
        yield replace(problem, harm="suspect")


def near_pairs(
    albums: Sequence[Album], places: Sequence[Place]
) -> Iterator[tuple[tuple[Place, Place], bool]]:
    """Places -> pairs whose thumbnails correlate above NEAR, and whether one is mirrored.

    Each later one is named once.
    """
    if len(places) < 2:
        return
    thumbs = np.stack([albums[a].thumbs_NHW[row] for a, row in places])
    seen: set[int] = set()
    for is_mirrored in (False, True):
        others = thumbs[:, :, ::-1] if is_mirrored else thumbs
        for low, high in _alike(thumbs, others):
            if high not in seen:
                seen.add(high)
                yield (places[low], places[high]), is_mirrored


def resaved_pairs(
    albums: Sequence[Album], places: Sequence[Place]
) -> Iterator[tuple[Place, Place]]:
    """Places -> pairs over two parts of which one was saved anew with loss: leaks."""
    if len({a for a, _ in places}) < 2:
        return
    thumbs = np.stack([albums[a].thumbs_NHW[row] for a, row in places])
    means = np.array([albums[a].means_N3[row].mean() for a, row in places])
    stds = np.array([albums[a].deviations_N3[row].mean() for a, row in places])
    for low, high in resaved(_unit(_flat(_halved(thumbs))), means, stds):
        if places[low][0] != places[high][0]:
            yield places[low], places[high]


def _alike(thumbs_NHW: np.ndarray, others_NHW: np.ndarray) -> Iterator[tuple[int, int]]:
    """Rows (low, high) with low < high whose thumbnail and other thumbnail agree."""
    fine, coarse = _unit(_flat(thumbs_NHW)), _unit(_flat(_halved(thumbs_NHW)))
    fine_too, coarse_too = _unit(_flat(others_NHW)), _unit(_flat(_halved(others_NHW)))
    for start in range(0, len(fine), 512):
        block = coarse[start : start + 512] @ coarse_too[start:].T
        for i, j in np.argwhere(block > NEAR - 0.004).tolist():
            low, high = start + i, start + j
            if low < high and fine[low] @ fine_too[high] > NEAR:
                yield low, high


def _flat(thumbs_NHW: np.ndarray) -> np.ndarray:
    return thumbs_NHW.reshape(len(thumbs_NHW), -1)


def _halved(thumbs_NHW: np.ndarray) -> np.ndarray:
    return thumbs_NHW.reshape(len(thumbs_NHW), 16, 2, 16, 2).mean((2, 4))


def _unit(rows: np.ndarray) -> np.ndarray:
    centred = rows.astype(np.float32) - rows.mean(1, keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def _problem(
    albums: Sequence[Album], classes: Sequence[str], pair: tuple[Place, Place], same: str
) -> Problem:
    (a, row), (b, other) = pair
    first, second = albums[a], albums[b]
    labels = [int(first.labels_N[row]), int(second.labels_N[other])]
    called = first.called(row)
    message = "is listed twice" if called == second.called(other) else f"is {same} {called}"
    if labels[0] != labels[1]:
        names = [classes[k] if k >= 0 else "no class" for k in labels]
        message += f", but labelled {names[1]!r} and not {names[0]!r}"
    if a != b:
        do = f"leave it out of {second.name}: its score is not honest"
        return second.problem("data-leak-train-val", message, other, do=do)
    more: dict[str, Any] = {"samples": (other, row)}
    if labels[0] != labels[1]:
        do = "find out which label is right"
        return second.problem("label-conflict", message, other, do=do, **more)
    if _boxes_differ(first, row, second, other):
        do = "find out which boxes are right"
        message += ", but has other boxes"
        return second.problem("label-conflict", message, other, do=do, **more)
    do = "keep one of the two"
    return second.problem("data-duplicate", message, other, do=do, harm="suspect", **more)


def _boxes_differ(first: Album, row: int, second: Album, other: int) -> bool:
    one, two = first.part.target(row), second.part.target(other)
    if one is None or two is None or one.boxes_N4 is None or two.boxes_N4 is None:
        return False
    return one.boxes_N4.shape != two.boxes_N4.shape or not one.boxes_N4.allclose(two.boxes_N4)


AUDITS = {"duplicates": look}
