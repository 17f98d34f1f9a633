"""The user's own torch Dataset of (picture, numbers): values to regress, or yes and no of each."""

from typing import Any

from torch import Tensor

from ..core.errors import DataError
from ..core.rows import row_of
from .pixels import as_tensor
from .sample import Sample, Target
from .sets import image_of, item_of, place_of
from .source import SampleSet, Source


class NumberDataset(SampleSet):
    """A data set left as it is; numbers are read with their picture, for they may turn with it."""

    repeatable = False  # its transforms may draw at random

    def __init__(self, dataset: Any, *, task: str, as_bytes: bool = True) -> None:
        self.dataset, self.task, self.as_bytes = dataset, task, as_bytes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        item = item_of(self.dataset, i)
        image_CHW = image_of(self.dataset, i, item, self.as_bytes)
        row = numbers_of(item, place_of(self.dataset, i))
        target = Target(attributes_A=row) if self.task == "tag" else Target(values_V=row)
        return Sample(image_CHW, target, row_of(self.dataset, i))


def from_number_dataset(dataset: Any, task: str, *, as_bytes: bool = True) -> Source:
    """A torch Dataset of (picture, number or row of numbers) -> Source: attributes for "tag",
    values for others, as many as the first item has.

    Raises DataError where that is something else.
    """
    part, name = NumberDataset(dataset, task=task, as_bytes=as_bytes), type(dataset).__name__
    count = len(numbers_of(item_of(dataset, 0), place_of(dataset, 0)))
    names = tuple(str(k) for k in range(count))
    if task == "tag":
        return Source(name, "dataset", part, (), attributes=names)
    return Source(name, "dataset", part, (), values=names)


def numbers_of(item: Any, place: str) -> Tensor:
    """The row of numbers of (picture, numbers); raises DataError for another item.

    >>> numbers_of(("picture", 3), "item 0")
    tensor([3.])
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        many = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise DataError(f"{place} is {type(item).__name__}{many}; (image, numbers) is wanted")
    row = as_tensor(item[1], f"{place}: its numbers").float()
    if row.ndim > 1:
        raise DataError(f"{place}: its numbers have shape {tuple(row.shape)}; "
                        "one number or a row of them is wanted")  # fmt: skip
    return row.reshape(-1)
