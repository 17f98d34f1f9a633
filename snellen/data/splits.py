"""Holding samples out: stratified, random and k-fold splits, the same rows for the same seed.

Rows come from NumPy's RandomState, whose streams are frozen: a split stays the same for good.
"""

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UsageError


def stratified_split(labels_N: Tensor, share: float, seed: int) -> tuple[list[int], list[int]]:
    """labels_N, share -> (train rows, val rows), each class in proportion; rows ascend.

    A class with one sample stays in training. At least one sample is held out if there are two.

    >>> train, val = stratified_split(torch.tensor([0] * 8 + [1] * 2), 0.5, seed=0)
    >>> len(val), sum(row >= 8 for row in val)
    (5, 1)
    """
    _check(share, len(labels_N))
    labels = labels_N.numpy()
    kinds, counts = np.unique(labels, return_counts=True)
    random = generator(seed)
    val: list[int] = []
    for kind, take in zip(kinds, _quotas(counts, share), strict=True):
        rows = np.flatnonzero(labels == kind)
        val += random.permutation(rows)[:take].tolist()
    if not val:  # every class has a single sample
        return random_split(len(labels), share, seed)
    return _rest(len(labels), val), sorted(val)


def random_split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Number of samples, share -> (train rows, val rows), for sets without labels.

    >>> [len(rows) for rows in random_split(10, 0.2, seed=0)]
    [8, 2]
    """
    _check(share, count)
    take = min(max(round(count * share), 1), count - 1)
    val = generator(seed).permutation(count)[:take].tolist()
    return _rest(count, val), sorted(val)


def k_fold(count: int, k: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Number of samples, folds -> k pairs (train rows, val rows); each row is held out once.

    >>> sorted(row for _, val in k_fold(7, 3, seed=0) for row in val)
    [0, 1, 2, 3, 4, 5, 6]
    """
    if not 2 <= k <= count:
        raise UsageError(f"{k} folds of {count} samples; between 2 and {count} are possible")
    parts = np.array_split(generator(seed).permutation(count), k)
    return [(_rest(count, val.tolist()), sorted(val.tolist())) for val in parts]


def generator(seed: int) -> np.random.RandomState:
    """A frozen stream for any seed of up to 64 bits and more."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _quotas(counts: np.ndarray, share: float) -> np.ndarray:
    """How many of each class to hold out: the total is right, and no class loses its last one."""
    exact = counts * share
    take = np.minimum(np.floor(exact).astype(int), counts - 1)
    missing = round(float(exact.sum())) - int(take.sum())
    by_remainder = np.argsort(take - exact, kind="stable")
    for kind in by_remainder[: max(missing, 0)]:
        take[kind] = min(take[kind] + 1, counts[kind] - 1)
    if take.sum() == 0 and counts.max() > 1:
        take[counts.argmax()] = 1
    return take


def _rest(count: int, val: list[int]) -> list[int]:
    keep = torch.ones(count, dtype=torch.bool)
    keep[val] = False
    return keep.nonzero()[:, 0].tolist()


def _check(share: float, count: int) -> None:
    if not 0 < share < 1:
        raise UsageError(f"split={share} is out of range; a share between 0 and 1 is wanted")
    if count < 2:
        raise UsageError(f"{count} sample cannot be split; give val= or more samples")
