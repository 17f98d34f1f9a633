"""What a search may choose: a range `lr=1e-4..1e-1`, or a list `optim=sgd,adamw`.

A range whose ends are ten times apart or more, both above 0, is logarithmic: lr = 10**U(a, b), so
that each power of ten is tried alike (notes 003). `A..B:N` is the list of N points of a range.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from ..core.errors import UsageError
from ..train.recipe import Recipe, parse
from ..train.values import RANGES

EDGE = 0.1  # of a range, at each end
FIXED = ("data", "task", "val", "split", "fold", "seed", "weights", "name", "project")


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, whole ones where the setting is a whole number."""

    name: str
    low: float
    high: float
    whole: bool = False

    @property
    def is_log(self) -> bool:
        """Whether steps along it are factors."""
        return self.low > 0 and self.high >= 10 * self.low

    def at(self, share: float) -> float:
        """A share 0..1 of the way -> the number there, to three digits, so that it can be typed.

        >>> Range("lr", 1e-4, 1e-1).at(1 / 3), Range("momentum", 0.5, 0.9).at(0.5)
        (0.001, 0.7)
        """
        low, high = (math.log10(end) if self.is_log else end for end in (self.low, self.high))
        value = low + share * (high - low)
        value = 10**value if self.is_log else value
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.3g}")

    def share(self, value: float) -> float:
        """Where a number lies in the range: 0 at its low end, 1 at its high one.

        >>> round(Range("lr", 1e-4, 1e-1).share(1e-2), 6)
        0.666667
        """
        low, high, at = (math.log10(n) if self.is_log else n for n in (self.low, self.high, value))
        return (at - low) / (high - low)

    def points(self, count: int) -> tuple[Any, ...]:
        """So many numbers, evenly apart; equal ones are one.

        >>> Range("lr", 1e-3, 1e-1).points(3)
        (0.001, 0.01, 0.1)
        """
        return tuple(dict.fromkeys(self.at(i / (count - 1)) for i in range(count)))

    def edge(self, value: float) -> str:
        """What to say where the best lies in the outer tenth: widen there (notes 003).

        >>> print(Range("lr", 1, 90).edge(80))
        lr=80 lies in the upper tenth of 1..90, and better may lie beyond; next lr=8.43..759
        >>> Range("lr", 1, 90).edge(10)
        ''
        """
        share = self.share(value)
        if EDGE < share < 1 - EDGE:
            return ""
        low, high = _around(value, self)
        side = "lower" if share <= EDGE else "upper"
        return (
            f"{self.name}={value:g} lies in the {side} tenth of {self}, and better may lie beyond; "
            f"next {self.name}={low:g}..{high:g}"
        )

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str
    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """A share 0..1 -> one of the values, each alike.

        >>> [Choice("optim", ("sgd", "adamw")).at(share) for share in (0.2, 0.7)]
        ['sgd', 'adamw']
        """
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def edge(self, value: Any) -> str:
        """The same of three numbers or more: the least or the greatest is the best.

        >>> Choice("batch", (16, 32, 64)).edge(64)
        'batch=64 is the greatest of 16,32,64, and better may lie beyond'
        """
        numbers = [v for v in self.values if isinstance(v, int | float) and v is not True]
        if len(numbers) < max(3, len(self.values)) or min(numbers) < value < max(numbers):
            return ""
        side = "least" if value == min(numbers) else "greatest"
        return f"{self.name}={value:g} is the {side} of {self}, and better may lie beyond"

    def __str__(self) -> str:
        return ",".join(map(word, self.values))


Axis = Range | Choice


def read_axis(name: str, value: Any) -> Axis | None:
    """A setting as typed -> what may be chosen for it; None for a single value.

    >>> read_axis("lr", "1e-4..1e-1"), read_axis("batch", "16,32").values, read_axis("lr", "0.1")
    (Range(name='lr', low=0.0001, high=0.1, whole=False), (16, 32), None)
    """
    if name in FIXED or isinstance(value, bool | int | float) or value is None:
        return None
    if isinstance(value, str) and ".." in value and _kind(name) in (int, float):
        return _read_range(name, value)
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, Sequence) or len(values) < 2:
        return None
    read = tuple(parse(name, one) for one in values)
    if len(set(read)) < len(read):
        raise UsageError(f"{name}={value} names a value twice; each is tried for itself")
    return Choice(name, read)


def _read_range(name: str, text: str) -> Axis:
    ends, _, count = text.partition(":")
    first, _, second = ends.partition("..")
    low, high = parse(name, first), parse(name, second)
    if low is None or high is None or not low < high:
        raise UsageError(f"{name}={text} is no range; the smaller end comes first, lr=1e-4..1e-1")
    found = Range(name, low, high, _kind(name) is int)
    if not count:
        return found
    if not count.isdecimal() or int(count) < 2:
        raise UsageError(f"{name}={text}: after the colon stands how many points, {ends}:4 say")
    return Choice(name, found.points(int(count)))


def word(value: Any) -> str:
    """A value as it is typed.

    >>> word(1e-05), word(True), word("sgd")
    ('1e-05', 'yes', 'sgd')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _around(value: float, axis: Range) -> tuple[float, float]:
    """A range as wide with the value in its middle, within what the setting takes."""
    if axis.is_log:
        half = math.sqrt(axis.high / axis.low)
        ends = value / half, value * half
    else:
        half = (axis.high - axis.low) / 2
        ends = value - half, value + half
    least, most, _ = RANGES.get(axis.name, (-math.inf, math.inf, ""))
    low, high = max(ends[0], least), min(ends[1], most)
    return (round(low), round(high)) if axis.whole else (float(f"{low:.3g}"), float(f"{high:.3g}"))


def _kind(name: str) -> type:
    hint = get_type_hints(Recipe).get(name, str)
    kind: type = (get_args(hint) or (hint,))[0]
    return kind
