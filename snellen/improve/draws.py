"""Settings drawn from axes: every combination of lists, or at random."""

import itertools
from collections.abc import Sequence
from typing import Any

from ..core.errors import UsageError
from ..data.splits import generator
from ..train.feed import mix
from .space import Axis, Choice, Range

Settings = dict[str, Any]


def combinations(axes: Sequence[Axis]) -> list[Settings]:
    """Lists -> every combination; raises UsageError for a range, which has no end of them.

    >>> combinations([Choice("batch", (16, 32)), Choice("optim", ("sgd",))])
    [{'batch': 16, 'optim': 'sgd'}, {'batch': 32, 'optim': 'sgd'}]
    """
    lists = []
    for axis in axes:
        if isinstance(axis, Range):
            raise UsageError(
                f"method=grid wants points, and {axis.name}={axis} is a range: "
                f"{axis.name}={axis}:4 are four of it"
            )
        lists.append([(axis.name, value) for value in axis.values])
    return [dict(pairs) for pairs in itertools.product(*lists)]


def draws(axes: Sequence[Axis], trials: int, seed: int) -> list[Settings]:
    """The settings of so many trials; more trials begin with the same ones. Of lists alone no
    combination comes twice, so there may be fewer.

    >>> drawn = draws([Choice("batch", (16, 32, 64))], 5, seed=0)
    >>> sorted(trial["batch"] for trial in drawn)
    [16, 32, 64]
    """
    if all(isinstance(axis, Choice) for axis in axes):
        every = combinations(axes)
        order = generator(seed).permutation(len(every))[:trials]
        return [every[i] for i in order]
    return [_draw(axes, mix(seed, number)) for number in range(1, trials + 1)]


def _draw(axes: Sequence[Axis], seed: int) -> Settings:
    random = generator(seed)
    return {axis.name: axis.at(random.random_sample()) for axis in axes}
