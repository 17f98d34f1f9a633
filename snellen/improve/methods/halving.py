"""Successive halving, Jamieson and Talwalkar 2016: coarse to fine (notes 003: 1, 5, many epochs).

Many random trials are trained for a few epochs; the best third of them goes on for three times as
long, and so forth, until a few have all epochs. A trial that goes on is resumed, not begun anew.
"""

import math

from ...core.errors import UsageError
from ..draws import draws
from . import Judge, Method, Wish, num_trials

FACTOR = 3


def rungs(wish: Wish) -> list[tuple[int, int | None]]:
    """(trials, epochs) of each stage; the last has all epochs.

    >>> from snellen.improve.space import Range
    >>> rungs(Wish([Range("lr", 1e-4, 1e-1)], trials=9, epochs=9))
    [(9, 1), (3, 3), (1, 9)]
    """
    if wish.epochs is None:
        raise UsageError("method=halving wants epochs=, how long the best are trained in the end")
    trials = len(draws(wish.axes, num_trials(wish), wish.seed))
    last = min(_log(trials), _log(max(wish.epochs, 1)))
    return [
        (math.ceil(trials / FACTOR**i), wish.epochs // FACTOR ** (last - i))
        for i in range(last + 1)
    ]


def run(wish: Wish, judge: Judge) -> None:
    """Stage after stage; what diverged does not go on."""
    standing = list(enumerate(draws(wish.axes, num_trials(wish), wish.seed), 1))
    for count, epochs in rungs(wish):
        ranks = {number: judge(number, settings, epochs).rank
                 for number, settings in standing[:count]}  # fmt: skip
        able = [pair for pair in standing if ranks.get(pair[0], (-math.inf,))[0] > -math.inf]
        standing = sorted(able, key=lambda pair: ranks[pair[0]], reverse=True)


def _log(count: int) -> int:
    """How often a count can be divided by FACTOR."""
    return 0 if count < FACTOR else 1 + _log(count // FACTOR)


METHODS = {
    "halving": Method("many for a few epochs, the best third for thrice as many, and so on",
                      rungs, run, extends=False),
}  # fmt: skip
