"""How data sets are nested: which row of which innermost data set a row is."""

from bisect import bisect_right
from typing import Any

from torch.utils.data import ConcatDataset, Subset


def innermost(dataset: Any) -> Any:
    """The data set whose rows are reported.

    Subsets are unwound. A concatenation is, too, where all its parts lie in one data set; else it
    is itself the innermost one, for only there does one integer name one sample.

    >>> base = list(range(10)); innermost(Subset(Subset(base, [1, 2]), [0])) is base
    True
    """
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    if isinstance(dataset, ConcatDataset):
        parts = [innermost(part) for part in dataset.datasets]
        if all(part is parts[0] for part in parts):
            return parts[0]
    return dataset


def row_of(dataset: Any, i: int) -> int:
    """A row of a data set -> the row of its innermost one.

    >>> row_of(Subset(Subset(range(10), [5, 6, 7]), [2, 0]), 1)
    5
    """
    i = int(i) + (len(dataset) if i < 0 else 0)
    if isinstance(dataset, Subset):
        return row_of(dataset.dataset, dataset.indices[i])
    if isinstance(dataset, ConcatDataset) and innermost(dataset) is not dataset:
        part = bisect_right(dataset.cumulative_sizes, i)
        before = dataset.cumulative_sizes[part - 1] if part else 0
        return row_of(dataset.datasets[part], i - before)
    return i
