"""Parts that were made in different ways: other brightness, contrast or colours than in train."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..source import Problem
from ._album import Album

GAP, RATIO = 0.5, 2.0  # FAULTS' data-shift-train-val: in deviations of a pixel; ratio of them
LEAST = 20  # pictures of a part below which nothing is said
SURE = 6.0  # standard errors of the part's own mean


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> a problem for each part whose pixels are distributed unlike those of train."""
    train, *others = [(album, _rows(album)) for album in albums]
    if len(train[1]) < LEAST:
        return
    for album, rows in others:
        words = _difference(*train, album, rows) if len(rows) >= LEAST else ""
        if words:
            message = f"the pixels of {album.name} differ from those of train: {words}"
            do = "check that both were scaled, converted and exported in the same way"
            yield Problem("data-shift-train-val", message, "suspect", do=do, part=album.name)


def _rows(album: Album) -> np.ndarray:
    return np.flatnonzero(album.readable_N & (album.nonfinite_N == 0) & ~album.is_constant())


def _difference(train: Album, rows: np.ndarray, album: Album, its: np.ndarray) -> str:
    means, deviations = train.means_N3[rows], train.deviations_N3[rows]
    mean, pixel = means.mean(0), np.sqrt((deviations**2).mean(0) + means.var(0))
    error = np.sqrt(means.var(0) / len(rows) + album.means_N3[its].var(0) / len(its))
    gap = np.abs(album.means_N3[its].mean(0) - mean)
    ratio = np.sqrt((album.deviations_N3[its] ** 2).mean(0) / (deviations**2).mean(0))
    k = int(gap.argmax())
    if gap[k] > GAP * pixel[k] and gap[k] > SURE * error[k]:
        here = album.means_N3[its, k].mean()
        return (
            f"their mean is {here:.4g} and not {mean[k]:.4g} (a pixel's deviation {pixel[k]:.3g})"
        )
    k = int(np.abs(np.log(np.maximum(ratio, 1e-9))).argmax())
    if not 1 / RATIO <= ratio[k] <= RATIO:
        return f"their contrast is {ratio[k]:.2g} times that of train"
    return ""


AUDITS = {"shift": look}
