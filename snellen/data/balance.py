"""Classes of unequal size (note 000): weigh them in the loss, or show the rare ones more often."""

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.numbers import check_counts
from ..core.parts import Part
from .splits import Labels, generator

PARTS = {
    "Class balance": Part(
        "Preprocessing",
        "sn.data.balance.class_weights, sn.data.balance.balanced_rows",
        "weights N / (K N_k) for the loss, or rows that show each class equally often; "
        "`snellen check` finds what is out of balance",
        "000",
    ),
}


def class_weights(labels_N: Labels, num_classes: int) -> Tensor:
    """labels_N -> weights_K for a loss's `weight`: N / (K N_k), so the mean over samples is 1.

    Labels below 0 (no label) do not count. Raises DataError where a class has no sample.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    counts_K = _counts(torch.as_tensor(labels_N), num_classes)
    return (counts_K.sum() / (num_classes * counts_K)).float()


def balanced_rows(labels_N: Labels, num_classes: int, seed: int) -> list[int]:
    """labels_N -> rows in which every class is as frequent as the most frequent one, shuffled.

    Samples of a rare class come again and again, each as often as the others of its class, but
    for one. For the training part only: a copy in validation would be a leak.

    Raises DataError for a class without samples and labels beyond num_classes.

    >>> sorted(balanced_rows(torch.tensor([0, 0, 0, 1]), 2, seed=0))
    [0, 1, 2, 3, 3, 3]
    """
    labels_N = torch.as_tensor(labels_N).cpu()
    largest = int(_counts(labels_N, num_classes).max())
    random, rows = generator(seed), []
    for kind in range(num_classes):
        own = random.permutation(np.flatnonzero(labels_N.numpy() == kind))
        rows.append(np.resize(own, largest))
    return random.permutation(np.concatenate(rows)).tolist()


def _counts(labels_N: Tensor, num_classes: int) -> Tensor:
    check_counts(num_classes=num_classes)
    if labels_N.ndim != 1 or labels_N.is_floating_point():
        raise DataError(f"labels of shape {tuple(labels_N.shape)} and {labels_N.dtype}; a whole "
                        "number for each sample is wanted")  # fmt: skip
    counts_K = torch.bincount(labels_N[labels_N >= 0], minlength=num_classes)
    if len(counts_K) > num_classes:
        raise DataError(f"label {len(counts_K) - 1} of {num_classes} classes; count from 0")
    empty = (counts_K == 0).nonzero()[:, 0].tolist()
    if empty:
        passed = int((labels_N < 0).sum())
        beside = f" ({passed} labels below 0 were passed over: count from 0)" if passed else ""
        raise DataError(
            f"classes {empty} have no sample{beside}; add some, or leave the classes out"
        )
    return counts_K
