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


def check_labels(label_B: Whole, num_classes: int) -> None:
    """Labels that no class has raise ValueError: -1 would silently mean the last class.

    >>> check_labels(np.array([0, 2, 3]), 3)
    Traceback (most recent call last):
    ...
    ValueError: label 3 of sample 2: with 3 classes labels are 0 to 2
    """
    for sample in np.flatnonzero((label_B < 0) | (label_B >= num_classes)):
        raise ValueError(
            f"label {label_B[sample]} of sample {sample}: with {num_classes} classes labels are "
            f"0 to {num_classes - 1}"
        )
