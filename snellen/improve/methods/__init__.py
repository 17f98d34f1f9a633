"""Ways to search, one a file: which settings are tried, for how long, and in which order.

Each is deterministic: asked again with the same answers it asks the same, so that a search that was
broken off goes on by being asked again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.errors import UsageError
from ..draws import Settings
from ..space import Axis

USUAL = 20  # trials
Rank = tuple[float, float]  # score, minus loss: the higher the better


class Judged(Protocol):
    """What came of a trial."""

    @property
    def rank(self) -> Rank:
        """What trials are compared by; minus infinity where there is no score."""


Judge = Callable[[int, Settings, int | None], Judged]  # number, settings, epochs -> what came of it


@dataclass(frozen=True)
class Wish:
    """What is searched: axes, how many trials (None: the method's usual), which seed; `epochs` is
    what was typed, for a method that gives some trials fewer.
    """

    axes: Sequence[Axis]
    trials: int | None = None
    epochs: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Method:
    """`rungs` of a wish: (trials, epochs) of each stage, None where all have what was typed; raises
    UsageError for a wish that it cannot follow. `run` asks the judge. `extends`: whether more
    trials only add to those that were made.
    """

    about: str
    rungs: Callable[[Wish], list[tuple[int, int | None]]]
    run: Callable[[Wish, Judge], None]
    extends: bool = True


def num_trials(wish: Wish) -> int:
    """How many trials; raises UsageError for less than one.

    >>> num_trials(Wish([]))
    20
    """
    trials = USUAL if wish.trials is None else wish.trials
    if trials < 1:
        raise UsageError(f"trials={trials}: one or more is wanted")
    return trials
