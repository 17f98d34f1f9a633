"""What optimisers ask of their settings: NaN passes `lr < 0` unseen."""

import math
from typing import Any

from ..core.errors import UsageError


def check_rates(**rates: Any) -> None:
    """Finite numbers from 0 up, else UsageError with the name and value; tensors are numbers too.

    >>> check_rates(lr=0.1, eps=0)
    """
    for name, value in rates.items():
        try:
            is_right = 0 <= float(value) < math.inf and not isinstance(value, str)
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
            raise UsageError(f"{name}={value!r}; a finite number, 0 or more, is wanted")
