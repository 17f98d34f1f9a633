"""Types that the files of this room share."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]
Cache: TypeAlias = tuple[Any, ...]


def zeros_like(*arrays: Array) -> tuple[Array, ...]:
    """Arrays -> zeros of the same shapes, to which derivatives are added step by step.

    >>> zeros_like(np.ones(2), np.ones((1, 3)))[1].tolist()
    [[0.0, 0.0, 0.0]]
    """
    return tuple(np.zeros(np.shape(one)) for one in arrays)
