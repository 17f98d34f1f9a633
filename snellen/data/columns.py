"""The same attributes or numbers in another order: columns of one data set as another has them."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ..core.errors import DataError, shortlist
from .sample import Sample, Target
from .source import SampleSet, Source


class Columns(SampleSet):
    """A set whose attributes_A and values_V are some of its own in another order; None: as is."""

    def __init__(
        self, whole: SampleSet, attributes: list[int] | None, values: list[int] | None
    ) -> None:
        self.whole, self.attributes, self.values = whole, attributes, values
        self.repeatable = whole.repeatable

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        sample = self.whole[i]
        return replace(sample, target=self._ordered(sample.target))

    def labels(self) -> Tensor | None:
        """labels_N, unchanged."""
        return self.whole.labels()

    def target(self, i: int) -> Target | None:
        """What is true of sample i, in the new order."""
        target = self.whole.target(i)
        return None if target is None else self._ordered(target)

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.whole.path(i)

    def stacked(self) -> Tensor | None:
        """Images x_NCHW, unchanged."""
        return self.whole.stacked()

    def _ordered(self, target: Target) -> Target:
        attributes_A, values_V = target.attributes_A, target.values_V
        if self.attributes is not None and attributes_A is not None:
            attributes_A = attributes_A[self.attributes]
        if self.values is not None and values_V is not None:
            values_V = values_V[self.values]
        return replace(target, attributes_A=attributes_A, values_V=values_V)


def ordered(
    part: SampleSet, have: Source, *,
    attributes: Sequence[str] | None = None, values: Sequence[str] | None = None,
) -> SampleSet:  # fmt: skip
    """A part of `have` -> the same with the attributes and values that are wanted, in their order.

    Raises DataError that names what is missing.
    """
    rows = _rows(have.attributes, attributes, have.name), _rows(have.values, values, have.name)
    return part if rows == (None, None) else Columns(part, *rows)


def _rows(have: Sequence[str], want: Sequence[str] | None, name: str) -> list[int] | None:
    if want is None or list(have) == list(want):
        return None
    missing = [word for word in want if word not in have]
    if missing:
        raise DataError(f"{name} lacks {shortlist(missing)}; it has {shortlist(have) or 'none'}")
    return [list(have).index(word) for word in want]
