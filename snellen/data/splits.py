"""Holding samples out: stratified, random and k-fold splits, the same rows for the same seed.

Rows come from NumPy's RandomState, whose streams are frozen: a split stays the same for good.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_finite, check_naturals
from ..core.parts import Part

PARTS = {
    "Train/val/test split": Part(
        "Preprocessing",
        "sn.data.splits.stratified_split, sn.data.splits.split_three",
        "the same rows for the same seed, each class in proportion",
        "003",
    ),
    "k-fold cross-validation": Part(
        "Preprocessing",
        "sn.data.splits.stratified_k_fold, sn.data.splits.k_fold",
        "each row held out once; 3, 5 or 10 folds are usual",
        "002 003",
    ),
}

Labels = Tensor | np.ndarray | Sequence[int]


def stratified_split(labels_N: Labels, share: float, seed: int) -> tuple[list[int], list[int]]:
    """labels_N, share -> (train rows, val rows), each class in proportion; rows ascend.

    A class with one sample stays in training. At least one sample is held out if there are two.

    Raises UsageError for a share outside 0 .. 1, for fewer than two samples and for one-hot rows.

    >>> train, val = stratified_split(torch.tensor([0] * 8 + [1] * 2), 0.5, seed=0)
    >>> len(val), sum(row >= 8 for row in val)
    (5, 1)
    """
    labels = _one_each(labels_N)
    _check(share, len(labels))
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

    Raises UsageError for a share outside 0 .. 1 and for fewer than two samples.

    >>> [len(rows) for rows in random_split(10, 0.2, seed=0)]
    [8, 2]
    """
    _check(share, count)
    take = min(max(round(count * share), 1), count - 1)
    val = generator(seed).permutation(count)[:take].tolist()
    return _rest(count, val), sorted(val)


def k_fold(count: int, k: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Number of samples, folds -> k pairs (train rows, val rows); each row is held out once.

    Raises UsageError where k is no whole number from 2 to the number of samples.

    >>> sorted(row for _, val in k_fold(7, 3, seed=0) for row in val)
    [0, 1, 2, 3, 4, 5, 6]
    """
    _check_folds(k, count)
    parts = np.array_split(generator(seed).permutation(count), k)
    return [(_rest(count, val.tolist()), sorted(val.tolist())) for val in parts]


def stratified_k_fold(labels_N: Labels, k: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """labels_N, folds -> k pairs (train rows, val rows), each class in proportion in every fold.

    Each row is held out once. The counts of a class differ by one at most between folds, and so do
    the sizes of the folds: sorted by class, rows are dealt to the folds in turn.

    Raises UsageError where k is no whole number from 2 to the number of samples.

    >>> folds = stratified_k_fold(torch.tensor([0] * 6 + [1] * 3), 3, seed=0)
    >>> [sorted(int(row >= 6) for row in val) for _, val in folds]
    [[0, 0, 1], [0, 0, 1], [0, 0, 1]]
    """
    labels = _one_each(labels_N)
    _check_folds(k, len(labels))
    shuffled = generator(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return [
        (_rest(len(labels), val), sorted(val))
        for val in (by_class[i::k].tolist() for i in range(k))
    ]


def parse_fold(word: str) -> tuple[int, int]:
    """ "2/5" -> (2, 5): the second of five folds. Raises UsageError for anything else.

    >>> parse_fold("2/5")
    (2, 5)
    """
    first, _, second = str(word).partition("/")
    if first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second) > 1:
        return int(first), int(second)
    raise UsageError(f"fold={word} names no fold; 2/5 is the second of five, 1/2 the first of two")


def split_three(
    labels_N: Labels, val: float, test: float, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """labels_N, two shares -> (train rows, val rows, test rows), each class in proportion.

    Choose by val, measure once on test; a share of 0 leaves its part empty. Raises UsageError for
    other shares outside 0..1, and where nothing would be left to learn.

    >>> [len(rows) for rows in split_three(torch.arange(40) % 4, 0.2, 0.1, seed=0)]
    [28, 8, 4]
    """
    check_finite(val=val, test=test)
    for name, share in (("val", val), ("test", test)):
        if not 0 <= share < 1:
            raise UsageError(f"{name}={share:g} is out of range; a share in [0, 1) is wanted")
    if not val + test < 1:
        raise UsageError(f"val={val:g} and test={test:g} leave nothing to learn from; shrink them")
    labels = _one_each(labels_N)
    rest, held = _part(labels, test, seed)
    learn, choose = _part(labels[rest], val / (1 - test), seed + 1)
    return [rest[i] for i in learn], [rest[i] for i in choose], held


def generator(seed: int) -> np.random.RandomState:
    """A frozen stream for any seed from 0 up, of 64 bits and more; else UsageError."""
    check_naturals(seed=seed)
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _one_each(labels_N: Labels) -> np.ndarray:
    labels = labels_N.detach().cpu() if isinstance(labels_N, Tensor) else labels_N
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise UsageError(
            f"labels of shape {labels.shape}; one for each sample is wanted: "
            "argmax(1) of one-hot rows"
        )
    return labels


def _part(labels: np.ndarray, share: float, seed: int) -> tuple[list[int], list[int]]:
    return stratified_split(labels, share, seed) if share else (list(range(len(labels))), [])


def _check_folds(k: int, count: int) -> None:
    is_whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
    if not is_whole or not 2 <= k <= count:
        raise UsageError(
            f"{k!r} folds of {count} samples; a whole number between 2 and {count} is possible"
        )


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
    check_finite(split=share)
    if not 0 < share < 1:
        raise UsageError(f"split={share} is out of range; a share between 0 and 1 is wanted")
    if count < 2:
        raise UsageError(f"{count} sample cannot be split; give val= or more samples")
