"""Learning rate over time: pure functions of the share of the training that is done.

share in [0, 1] -> factor on the highest learning rate.
"""

import math
from collections.abc import Callable

WARM = 0.2  # share of one-cycle spent rising


def constant(share: float) -> float:
    """The same all the way."""
    return 1.0


def cosine(share: float) -> float:
    """Half a cosine from 1 to 0 (arXiv:1608.03983).

    >>> round(cosine(0.5), 6)
    0.5
    """
    return 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def onecycle(share: float) -> float:
    """From 1/25 up to 1, then down to nearly 0, both on a cosine (arXiv:1708.07120).

    >>> onecycle(WARM)
    1.0
    """
    if share < WARM:
        low = 1 / 25
        return low + (1.0 - low) * 0.5 * (1.0 - math.cos(math.pi * share / WARM))
    low = 1e-4
    return low + (1.0 - low) * cosine((share - WARM) / (1.0 - WARM))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "onecycle": onecycle,
}
