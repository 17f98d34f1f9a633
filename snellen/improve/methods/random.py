"""Random search, Bergstra and Bengio 2012: each trial draws every setting anew (notes 003).

Where one setting of several matters, n trials try n values of it; a grid tries its few points again
and again.
"""

from ..draws import draws
from . import Judge, Method, Wish, num_trials


def rungs(wish: Wish) -> list[tuple[int, int | None]]:
    """All trials, as long as was said."""
    return [(len(draws(wish.axes, num_trials(wish), wish.seed)), None)]


def run(wish: Wish, judge: Judge) -> None:
    """One after the other."""
    for number, settings in enumerate(draws(wish.axes, num_trials(wish), wish.seed), 1):
        judge(number, settings, None)


METHODS = {"random": Method("draws every setting anew", rungs, run)}
