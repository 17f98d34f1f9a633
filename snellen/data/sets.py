"""The sample sets there are: files read on demand, arrays in memory, the user's own Dataset.

`Part` (a split) is in source.py, `Relabelled` (other class numbers) in relabel.py.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any

from torch import Tensor

from ..core.errors import DataError
from ..core.rows import row_of
from .images import read_image
from .near import Near
from .pixels import image_tensor, plain_dtype
from .sample import Sample, Target
from .source import SampleSet


class FileSet(SampleSet):
    """Pictures on a disk; a picture is read when asked for, never before. What is true of each is
    a row: its class, its attributes, its numbers, its text, whichever are given.
    """

    reads_files = True
    _near: Near | None = None

    def __init__(
        self,
        paths: Sequence[str],
        labels_N: Tensor | None,
        channels: int = 3,
        *,
        attributes_NA: Tensor | None = None,
        values_NV: Tensor | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        self.paths, self.labels_N, self.channels = list(paths), labels_N, channels
        self.attributes_NA, self.values_NV, self.texts = attributes_NA, values_NV, texts

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Sample:
        path = self.paths[i]
        if self._near is None:
            return Sample(read_image(path, self.channels), self.target(i), i, path)
        image, size = self._near.read(path, self.channels)
        return Sample(image, self.target(i), i, path, size)

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """These samples."""
        if self._near is None:
            return super().samples(rows)
        paths = [self.paths[i] for i in rows]
        read = self._near.read_all(paths, self.channels)
        return [Sample(image, self.target(i), i, path, size)
                for i, path, (image, size) in zip(rows, paths, read, strict=True)]  # fmt: skip

    def near(self, near: Near) -> "FileSet":
        """The same files, read at the size of an input."""
        other = copy(self)
        other._near = near
        return other

    def labels(self) -> Tensor | None:
        """labels_N int64."""
        return self.labels_N

    def target(self, i: int) -> Target:
        """What is true of sample i."""
        row = _row(self, i)
        return row if self.texts is None else replace(row, text=self.texts[i])

    def path(self, i: int) -> str:
        """The file of sample i."""
        return self.paths[i]


class ArraySet(SampleSet):
    """Images x_NCHW and labels_N (or rows of attributes or numbers) in memory.

    >>> import torch
    >>> ArraySet(torch.zeros(5, 1, 8, 8), torch.arange(5))[3].target.label
    3
    """

    def __init__(
        self,
        x_NCHW: Tensor,
        labels_N: Tensor | None = None,
        *,
        attributes_NA: Tensor | None = None,
        values_NV: Tensor | None = None,
    ) -> None:
        self.x_NCHW, self.labels_N = x_NCHW, labels_N
        self.attributes_NA, self.values_NV = attributes_NA, values_NV

    def __len__(self) -> int:
        return len(self.x_NCHW)

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.x_NCHW[i], self.target(i), i)

    def labels(self) -> Tensor | None:
        """labels_N int64."""
        return self.labels_N

    def target(self, i: int) -> Target:
        """What is true of sample i."""
        return _row(self, i)

    def stacked(self) -> Tensor:
        """x_NCHW itself, not a copy."""
        return self.x_NCHW


class DatasetSet(SampleSet):
    """The user's torch Dataset of (image, label) items, left as it is.

    `index` of a sample is its row in the innermost data set: Subsets and joins of them are unwound.
    """

    repeatable = False  # its transforms may draw at random

    def __init__(self, dataset: Any, labels_N: Tensor, as_bytes: bool = True) -> None:
        self.dataset, self.labels_N, self.as_bytes = dataset, labels_N, as_bytes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        image_CHW = image_of(self.dataset, i, item_of(self.dataset, i), self.as_bytes)
        return Sample(image_CHW, Target(label=int(self.labels_N[i])), row_of(self.dataset, i))

    def labels(self) -> Tensor:
        """labels_N int64."""
        return self.labels_N


def item_of(dataset: Any, i: int) -> Any:
    """Item i of a user's data set, whose code can raise anything; raises DataError that names it.

    >>> item_of([4, 5], 1)
    5
    """
    try:
        return dataset[i]
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{place_of(dataset, i)} raised {type(error).__name__}: {error}") from error


def image_of(dataset: Any, i: int, item: Any, as_bytes: bool | None = True) -> Tensor:
    """The image_CHW that comes first in item i; raises DataError that names the item."""
    if not isinstance(item, tuple | list) or not item:
        raise DataError(
            f"{place_of(dataset, i)} is {type(item).__name__}; (image, label) is wanted"
        )
    try:
        return plain_dtype(image_tensor(item[0]).contiguous(), as_bytes)
    except DataError as error:
        raise DataError(f"{place_of(dataset, i)}: {error}") from error


def place_of(dataset: Any, i: int) -> str:
    """An item in words.

    >>> place_of([4, 5], 1)
    'list[1]'
    """
    return f"{type(dataset).__name__}[{i}]"


@cache
def _of_class(label: int | None) -> Target:
    """One target for all samples of which nothing but the class is told."""
    return Target(label=label)


def _row(told: FileSet | ArraySet, i: int) -> Target:
    """Row i of whatever tables a set has."""
    label = None if told.labels_N is None else int(told.labels_N.numpy()[i])
    if told.attributes_NA is None and told.values_NV is None:
        return _of_class(label)
    return Target(
        label=label,
        attributes_A=None if told.attributes_NA is None else told.attributes_NA[i],
        values_V=None if told.values_NV is None else told.values_NV[i],
    )
