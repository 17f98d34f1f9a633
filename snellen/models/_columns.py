"""The kinds of values that a row's columns take, and the one check of what a caller gives for one.

A column is annotated with what it may be: `stem: Stem` is one of two words, `width: Count` a whole
number from 1 up, `depths: tuple[Count, ...]` some of them.
"""

import math
import operator
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal, get_args, get_origin

from ..core.errors import UnknownName, UsageError


@dataclass(frozen=True)
class Within:
    """The least and the largest value of a number.

    >>> str(Within(1)), str(Within(0, 1))
    ('from 1 up', 'from 0 to 1')
    """

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f"from {self.low} up" if self.high == math.inf else f"from {self.low} to {self.high}"


Count = Annotated[int, Within(1)]
Natural = Annotated[int, Within(0)]
Share = Annotated[float, Within(0, 1)]
Factor = Annotated[float, Within(0.001, 10_000)]
Stem = Literal["imagenet", "small"]
Block = Literal["basic", "bottleneck"]  # of ResNets
StrideOn = Literal["1x1", "3x3"]
Shortcut = Literal["projection", "pad", "none"]


def fitted(word: str, value: Any, kind: Any) -> Any:
    """A value for a column of that kind, as it is kept; raises UsageError that says what may be.

    >>> fitted("depths", [1, 2], tuple[Count, ...])
    (1, 2)
    >>> fitted("stem", "smal", Stem)
    Traceback (most recent call last):
    snellen.core.errors.UnknownName: no 'smal' in the values of stem; did you mean small?
    >>> fitted("width", 0, Count)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: width=0 is not a whole number from 1 up
    """
    words = get_args(kind) if get_origin(kind) is Literal else ()
    if words and isinstance(value, str) and value not in words:
        raise UnknownName(value, map(str, words), f"the values of {word}")
    try:
        return _as(value, kind)
    except (TypeError, ValueError):
        raise UsageError(f"{word}={value!r} is not {_said(kind)}") from None


def _as(value: Any, kind: Any) -> Any:
    """The value as `kind` keeps it; TypeError or ValueError where it is none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = _as(value, inner[0])
        if not inner[1].low <= value <= inner[1].high:
            raise ValueError
    elif origin is Literal:
        if value not in inner or isinstance(value, bool):
            raise ValueError
    elif origin is tuple:
        kinds = [inner[0]] * len(value) if inner[1:] == (...,) else inner
        return tuple(_as(v, k) for v, k in zip(_items(value), kinds, strict=True))
    elif kind is int:
        return operator.index(_number(value))
    elif kind is float:
        return float(_number(value))
    elif isinstance(kind, type) and not isinstance(value, kind):
        raise TypeError
    return value


def _items(value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not (isinstance(value, Real) or hasattr(value, "__index__")):
        raise TypeError
    return value


def _said(kind: Any) -> str:
    """What a kind is called in an error."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return f"{_said(inner[0])} {inner[1]}"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is tuple:
        if inner[1:] == (...,):
            return f"a list, each {_said(inner[0])}"
        return f"a list of {len(inner)}, each {_said(inner[0])}"
    return {int: "a whole number", float: "a number", bool: "yes or no (True, False)"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )
