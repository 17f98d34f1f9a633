"""Some rows of a part instead of all: what sizes, frequencies and baselines are told by."""

from collections.abc import Iterable, Iterator

from ..data.sample import Sample, Target
from ..data.source import SampleSet


def spread_rows(count: int, most: int) -> range:
    """Rows from all over `count`: every one up to twice `most`, else between `most` and that.

    >>> spread_rows(5, 10), spread_rows(1000, 300)
    (range(0, 5), range(0, 1000, 3))
    """
    return range(0, count, max(1, count // most))


def targets_of(part: SampleSet, looked: Iterable[Sample]) -> Iterator[Target]:
    """What is true of every sample where that needs no picture, else of those looked at.

    >>> from snellen.data.sets import ArraySet
    >>> import torch
    >>> part = ArraySet(torch.zeros(3, 1, 8, 8), torch.arange(3))
    >>> [target.label for target in targets_of(part, [part[0]])]
    [0, 1, 2]
    """
    if len(part) and part.target(0) is not None:
        return (part.target(i) or part[i].target for i in range(len(part)))
    return (sample.target for sample in looked)
