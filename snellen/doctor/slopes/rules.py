"""The nine rules of the notes for checking a gradient, and the bands of its relative error."""

import math
from dataclasses import dataclass

from ...core.errors import UsageError

WRONG, SUSPECT, KINKS = 1e-2, 1e-4, 1e-7
KINKY = "fine only with kinks"
BANDS = ("good", KINKY, "suspect", "wrong")


@dataclass(frozen=True)
class Rules:
    """All nine are kept unless one is broken on purpose, to see what it is for.

    >>> Rules().centred, Rules(step=1e-12).step
    (True, 1e-12)
    """

    centred: bool = True  # (f(x + h) - f(x - h)) / 2h; False: (f(x + h) - f(x)) / h
    double: bool = True  # copies in float64; False: in the precision that they have
    relative: bool = True  # |a - n| / max(|a|, |n|); False: |a - n|
    kinks: bool = True  # places where two steps disagree are passed over; False: one step, believed
    step: float | None = None  # h; None: 2**-17 (8e-6)
    steps: bool = True  # and longer and shorter ones where two disagree; False: passed over
    rows: int | None = 8  # few data points: the first rows of a batch with targets; None: all
    burn_in: int = 10  # looked at once more after so many steps; 0: only as it is
    penalty_apart: bool = True  # the loss without its penalty, then the penalty; False: their sum
    frozen: bool = True  # the same random numbers in every evaluation; False: as they come
    numbers: int = 16  # of each tensor that are moved; all where it has no more
    each: bool = True  # False: as many, drawn from one long vector of all tensors

    def __post_init__(self) -> None:
        """UsageError for a number that cannot be followed."""
        right = {
            "step": self.step is None or 0 < self.step < math.inf,
            "rows": self.rows is None or self.rows >= 1,
            "burn_in": self.burn_in >= 0,
            "numbers": self.numbers >= 1,
        }
        for name in (name for name, is_right in right.items() if not is_right):
            least = {"step": "above 0", "burn_in": "0 or more"}.get(name, "1 or more")
            raise UsageError(f"Rules({name}={getattr(self, name)}); a number {least} is wanted")


def band(error: float) -> str:
    """A relative error -> the notes' word for it.

    >>> [band(e) for e in (0.5, 1e-3, 1e-5, 1e-9)]
    ['wrong', 'suspect', 'fine only with kinks', 'good']
    """
    if not error <= WRONG:  # nan too
        return BANDS[3]
    return BANDS[(error > KINKS) + (error > SUSPECT)]
