"""What settings that are numbers may be: each check names the first that is not so.

NaN passes `lr < 0` unseen, and text, None and infinity fail far from where they were given.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from .errors import UsageError


def check_rates(**values: Any) -> None:
    """Finite numbers from 0 up, else UsageError with the name and value; tensors are numbers too.

    >>> check_rates(lr=0.1, eps=0)
    """
    _check(values, lambda v: 0 <= v < math.inf, "a finite number, 0 or more,")


def check_positive(**values: Any) -> None:
    """Finite numbers above 0, else UsageError.

    >>> check_positive(sigma=0.0)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: sigma=0.0; a finite number above 0 is wanted
    """
    _check(values, lambda v: 0 < v < math.inf, "a finite number above 0")


def check_finite(**values: Any) -> None:
    """Finite numbers, else UsageError.

    >>> check_finite(mean=-0.1)
    """
    _check(values, math.isfinite, "a finite number")


def check_shares(**values: Any) -> None:
    """Numbers from 0 to 1, else UsageError.

    >>> check_shares(iou=0.5, alpha=1)
    """
    _check(values, lambda v: 0 <= v <= 1, "a number from 0 to 1")


def check_decays(**values: Any) -> None:
    """Numbers from 0 up and below 1: of what was before, the share that stays; else UsageError.

    >>> check_decays(momentum=1)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: momentum=1; a number from 0 up and below 1 is wanted
    """
    _check(values, lambda v: 0 <= v < 1, "a number from 0 up and below 1")


def check_counts(**values: Any) -> None:
    """Whole numbers from 1 up, else UsageError.

    >>> check_counts(classes=2.5)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: classes=2.5; a whole number from 1 up is wanted
    """
    _check_whole(values, "a whole number from 1 up")
    _check(values, lambda v: v >= 1, "a whole number from 1 up")


def check_naturals(**values: Any) -> None:
    """Whole numbers from 0 up, else UsageError.

    >>> check_naturals(num_steps=-1)
    Traceback (most recent call last):
    snellen.core.errors.UsageError: num_steps=-1; a whole number from 0 up is wanted
    """
    _check_whole(values, "a whole number from 0 up")
    _check(values, lambda v: v >= 0, "a whole number from 0 up")


def check_seeds(**values: Any) -> None:
    """Whole numbers as generators take, else UsageError.

    >>> check_seeds(seed="a")
    Traceback (most recent call last):
    snellen.core.errors.UsageError: seed='a'; a whole number of at most 63 bits is wanted
    """
    _check_whole(values, "a whole number of at most 63 bits")
    _check(values, lambda v: abs(v) < 2**63, "a whole number of at most 63 bits")


def _check_whole(values: Mapping[str, Any], wanted: str) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            _refuse(name, value, wanted)


def _check(values: Mapping[str, Any], fits: Callable[[float], bool], wanted: str) -> None:
    for name, value in values.items():
        try:
            does = not isinstance(value, str | bytes) and fits(float(value))
        except (TypeError, ValueError, OverflowError, RuntimeError):
            does = False
        if not does:
            _refuse(name, value, wanted)


def _refuse(name: str, value: Any, wanted: str) -> None:
    raise UsageError(f"{name}={value!r}; {wanted} is wanted")
