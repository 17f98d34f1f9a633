"""One pass over a part: what the audit's checks need to know of each picture, and no more.

About 1.2 KB a picture is kept, whatever its size, so that a large set fits in memory.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.errors import DataError
from ..images import Header, read_header
from ..source import Problem, SampleSet
from ._files import file_problem

SIDE = 32  # thumbnails are 32 x 32, gray
CHUNK = 256  # pictures of one size measured at once ...
CROWD = 2**22  # ... while their values are at most so many


@dataclass
class Album:
    """A part and what was measured; arrays are by row, and meaningless where not `readable`."""

    name: str
    part: SampleSet
    labels_N: np.ndarray
    readable_N: np.ndarray
    digests: list[bytes]  # of the decoded pixels; equal means the same picture
    thumbs_NHW: np.ndarray  # uint8; a picture's own range where pixels are floats
    lows_N: np.ndarray
    highs_N: np.ndarray
    nonfinite_N: np.ndarray  # how many pixels
    sizes_N2: np.ndarray  # H, W
    means_N3: np.ndarray  # of each colour; gray three times
    deviations_N3: np.ndarray
    headers: dict[int, Header] = field(default_factory=dict)  # of files
    problems: list[Problem] = field(default_factory=list)
    is_float: bool = False

    def __len__(self) -> int:
        return len(self.part)

    def file(self, row: int) -> str | None:
        """The file of a row."""
        return self.part.path(row)

    def called(self, row: int) -> str:
        """A row in words: its file, or its number."""
        return self.part.path(row) or f"{self.name} sample {row}"

    def problem(self, id: str, message: str, row: int, **more: Any) -> Problem:
        """A problem of one row, with its file or, where it has none, its number in words."""
        file = self.file(row)
        text = message if file else f"{self.name} sample {row} {message}"
        more.setdefault("samples", (row,))
        return Problem(id, text, file=file, part=self.name, **more)

    def is_constant(self) -> np.ndarray:
        """Which readable, finite rows show one colour only."""
        return self.readable_N & (self.nonfinite_N == 0) & (self.highs_N - self.lows_N <= 0)


def look_through(
    name: str, part: SampleSet, progress: Callable[[int], None] | None = None
) -> Album:
    """Part -> Album; every file is decoded once."""
    count, labels = len(part), part.labels()
    album = Album(
        name=name,
        part=part,
        labels_N=np.full(count, -1) if labels is None else labels.numpy(),
        readable_N=np.zeros(count, bool),
        digests=[b""] * count,
        thumbs_NHW=np.zeros((count, SIDE, SIDE), np.uint8),
        lows_N=np.zeros(count),
        highs_N=np.zeros(count),
        nonfinite_N=np.zeros(count, int),
        sizes_N2=np.zeros((count, 2), int),
        means_N3=np.zeros((count, 3)),
        deviations_N3=np.zeros((count, 3)),
    )
    for rows, images in _groups(album):
        _measure(album, rows, images)
        if progress:
            progress(rows[-1] + 1)
    return album


def _groups(album: Album) -> Iterator[tuple[list[int], Tensor]]:
    """(rows, x_BCHW) of neighbours of one size; what cannot be read becomes a problem."""
    whole = album.part.stacked()
    if whole is not None:
        for start in range(0, len(whole), CHUNK):
            some = whole[start : start + CHUNK]
            yield list(range(start, start + len(some))), some
        return
    rows: list[int] = []
    images: list[Tensor] = []
    for row in range(len(album)):
        image = _read(album, row)
        if image is None:
            continue
        if images and (image.shape != images[0].shape or image.numel() * len(images) > CROWD):
            yield rows, _stacked(images)
            rows, images = [], []
        rows.append(row)
        images.append(image)
        if len(rows) == CHUNK:
            yield rows, _stacked(images)
            rows, images = [], []
    if images:
        yield rows, _stacked(images)


def _stacked(images: list[Tensor]) -> Tensor:
    """Images of one size -> x_BCHW; a single large one is not copied."""
    return torch.stack(images) if len(images) > 1 else images[0][None]


def _read(album: Album, row: int) -> Tensor | None:
    path = album.file(row)
    if path is not None:
        problem = file_problem(path, row)
        if problem:
            album.problems.append(replace(problem, part=album.name))
            return None
    try:
        if path is not None:
            album.headers[row] = read_header(path)
        return album.part[row].image_CHW
    except DataError as error:
        message = str(error).removeprefix(f"{path} ") if path else str(error)
        message = message.removesuffix("; replace or remove it")
        do = "repair, replace or remove it"
        album.problems.append(album.problem("file-unreadable", message, row, do=do))
        return None


def _measure(album: Album, rows: list[int], x_BCHW: Tensor) -> None:
    album.readable_N[rows] = True
    album.is_float |= x_BCHW.is_floating_point()
    album.sizes_N2[rows] = x_BCHW.shape[-2:]
    for row, image in zip(rows, x_BCHW.numpy(), strict=True):
        digest = hashlib.blake2b(repr((image.shape, image.dtype)).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(image).data)
        album.digests[row] = digest.digest()
    x = x_BCHW
    if x.is_floating_point():
        bad = ~x.isfinite()
        album.nonfinite_N[rows] = bad.flatten(1).sum(1).numpy()
        x = torch.where(bad, 0.0, x)
    lows_BC, highs_BC = x.flatten(2).amin(2).float(), x.flatten(2).amax(2).float()
    album.lows_N[rows] = lows_BC.amin(1).numpy()
    constant = (highs_BC == lows_BC).all(1).numpy()  # a single colour is constant too
    album.highs_N[rows] = np.where(constant, album.lows_N[rows], highs_BC.amax(1).numpy())
    step = max(1, min(x.shape[-2:]) // 64)  # every step-th pixel tells mean and deviation
    std_BC, mean_BC = torch.std_mean(x[..., ::step, ::step].float(), (2, 3), correction=0)
    colours = 3 if x.shape[1] >= 3 else 1
    album.means_N3[rows] = mean_BC[:, :colours].numpy()
    album.deviations_N3[rows] = std_BC[:, :colours].numpy()
    album.thumbs_NHW[rows] = thumbnails(shrunk(x)).numpy()


def shrunk(x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> the same, or of fewer pixels where floats of all would not fit in memory.

    >>> shrunk(torch.zeros(1, 3, 4000, 3000, dtype=torch.uint8)).shape
    torch.Size([1, 3, 1333, 1000])
    """
    height, width = x_BCHW.shape[-2:]
    step = min(height, width) // 1000
    if x_BCHW.numel() <= 4 * CROWD or step < 2:
        return x_BCHW
    size = (height // step, width // step)
    return F.interpolate(x_BCHW, size, mode="bilinear", antialias=True)


def thumbnails(x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> gray uint8 (B, 32, 32), each stretched to its own range.

    >>> thumbnails(torch.rand(2, 3, 50, 40)).shape
    torch.Size([2, 32, 32])
    """
    gray = x_BCHW.float().mean(1, keepdim=True)
    small = F.interpolate(gray, (SIDE, SIDE), mode="bilinear", antialias=True)[:, 0]
    low = small.amin((1, 2), keepdim=True)
    high = small.amax((1, 2), keepdim=True)
    return ((small - low) * (255 / (high - low).clamp(min=1e-12))).round().to(torch.uint8)
