"""Pixels that cannot be right: NaN, one colour only, another scale, another size than the rest."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..source import Problem
from ._album import Album

TINY = 2  # a side of so many pixels shows nothing
FAR = 20.0  # robust z of FAULTS' data-outlier
SIDE_RATIO, ASPECT_RATIO = 3.0, 2.5  # a picture this unlike the middle one is odd
ALIKE = 0.9  # where so many share one size, any other is worth a word


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> problems of pixel values and sizes."""
    for album in albums:
        yield from _nonfinite(album)
        yield from _constant(album)
        yield from _scale(album)
        yield from _sizes(album)


def _nonfinite(album: Album) -> Iterator[Problem]:
    for row in np.flatnonzero(album.nonfinite_N).tolist():
        count = int(album.nonfinite_N[row])
        message = f"has {count} pixels that are NaN or infinite"
        yield album.problem("data-nonfinite", message, row, do="repair it or leave it out")


def _constant(album: Album) -> Iterator[Problem]:
    rows = np.flatnonzero(album.is_constant()).tolist()
    if rows and len(rows) == int(album.readable_N.sum()) > 1:
        message = f"every picture of {album.name} shows one colour only"
        do = "check how they were read or saved"
        yield Problem("data-constant-input", message, do=do, part=album.name)
        return
    for row in rows:
        message = f"shows one colour only ({album.lows_N[row]:g})"
        do = "look at it, and leave it out if it should show something"
        yield album.problem("data-constant-sample", message, row, do=do)


def _scale(album: Album) -> Iterator[Problem]:
    """Floats only: one picture in 0..255 among pictures in 0..1 drowns the rest."""
    usable = album.readable_N & (album.nonfinite_N == 0) & ~album.is_constant()
    if not album.is_float or usable.sum() < 8:
        return
    reach = np.maximum(np.abs(album.lows_N), np.abs(album.highs_N))
    middle = float(np.median(reach[usable]))
    spread = 1.4826 * float(np.median(np.abs(reach[usable] - middle))) + 0.05 * middle
    for row in np.flatnonzero(usable & (np.abs(reach - middle) > FAR * spread)).tolist():
        message = f"reaches {reach[row]:.4g} where the others reach {middle:.3g}"
        do = "scale it as the others are"
        yield album.problem("data-outlier", message, row, do=do)


def _sizes(album: Album) -> Iterator[Problem]:
    """Far from the middle one; or another than that of nearly all, which resizing mends (note 000:
    of one size).
    """
    usable = np.flatnonzero(album.readable_N)
    if not len(usable):
        return
    sizes = album.sizes_N2[usable].astype(float)
    side = np.log(sizes.prod(1)) / 2
    aspect = np.log(sizes[:, 1] / sizes[:, 0])
    odd = _far(side, np.log(SIDE_RATIO)) | _far(aspect, np.log(ASPECT_RATIO))
    height, width = np.median(sizes, 0).astype(int)
    other = (sizes != (height, width)).any(1)
    is_told = other & (other.mean() <= 1 - ALIKE)
    for i, row in enumerate(usable.tolist()):
        is_tiny = sizes[i].min() <= TINY
        if is_tiny or ((odd[i] or is_told[i]) and len(usable) >= 8):
            size = f"{int(sizes[i, 1])} x {int(sizes[i, 0])} pixels (W x H)"
            message = f"has {size} where {width} x {height} is usual"
            harm = "harmful" if is_tiny else "suspect" if odd[i] else "harmless"
            id = "image-tiny" if is_tiny else "image-odd-size"
            yield album.problem(id, message, row, harm=harm, do="look whether it shows anything")


def _far(values: np.ndarray, least: float) -> np.ndarray:
    """Which are further from the median than `least` and than six usual deviations."""
    away = np.abs(values - np.median(values))
    return away > max(least, 6 * 1.4826 * float(np.median(away)))


AUDITS = {"pixels": look}
