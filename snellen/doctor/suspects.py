"""Which items are in every batch with a bad loss and in no other: told without knowing the loss.

A constant of the targets (0 * log 0 in a divergence written by hand) makes the loss NaN and its
gradient not, so the training goes on, and the next epochs deal the same items in other company.
"""

from typing import Any

from torch.utils.data import TensorDataset

from .loader import Record

TWICE, FEW = 2, 20  # bad batches; one in so many of a batch may be left


class Suspects:
    """The items that every bad batch so far had and no good one since the first."""

    def __init__(self) -> None:
        self.record: Record | None = None  # of the first bad batch
        self.items: set[int] = set()
        self.bad = self.good = 0  # batches
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether more batches could tell more."""
        return bool(self.items)

    def met(self, record: Record | None, is_bad: bool) -> None:
        """A batch, and whether its loss was not finite."""
        dealt = record.indices() if record is not None else None
        if record is None or dealt is None:
            return
        if self.record is None:
            if is_bad:
                self.record, self.items, self.bad = record, set(dealt), 1
                self._size = len(self.items)
            return
        if not is_one(record.dataset, self.record.dataset):
            return
        if is_bad:
            self.bad += 1
            self.items &= set(dealt)
        else:
            self.good += 1
            self.items -= set(dealt)

    def named(self) -> list[int]:
        """The guilty, where they are few and were met more than once.

        >>> some, data = Suspects(), list(range(9))
        >>> for rows, is_bad in (([1, 2, 3], True), ([2, 4, 5], False), ([3, 6, 4], True)):
        ...     some.met(Record(data, rows), is_bad)
        >>> some.named()
        [3]
        """
        if self.bad < TWICE or not self.good or len(self.items) > max(1, self._size // FEW):
            return []
        return sorted(self.items)


def is_one(one: Any, other: Any) -> bool:
    """Whether two data sets are one: some loops build it anew of the same tensors each epoch."""
    if type(one) is not TensorDataset or type(other) is not TensorDataset:
        return one is other
    pairs = zip(one.tensors, other.tensors, strict=False)
    return len(one.tensors) == len(other.tensors) and all(a is b for a, b in pairs)
