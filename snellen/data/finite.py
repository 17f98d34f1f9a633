"""Samples that statistics may be taken of: a tensor with numbers in it, all of them finite."""

from typing import Any

from torch import Tensor

from ..core.errors import DataError, UsageError


def finite_samples(train: Any) -> Tensor:
    """Training part x_N... -> the same in float64, without its gradient; a NaN would spoil all.

    Raises UsageError where it is no tensor of samples, DataError where it holds no number, or some
    that are NaN or infinite.

    >>> import torch
    >>> finite_samples(torch.tensor([1, 2]))
    tensor([1., 2.], dtype=torch.float64)
    """
    check_tensor(train)
    if not train.ndim:
        raise UsageError("a single number; a row for each sample is wanted")
    if not train.numel():
        raise DataError("no training samples to take statistics of")
    bad = (~train.isfinite()).reshape(len(train), -1).any(1).nonzero()[:, 0].tolist()
    if bad:
        raise DataError(
            f"{len(bad)} of {len(train)} training samples hold NaN or Inf, the first is sample "
            f"{bad[0]}; repair or remove them before statistics are taken"
        )
    return train.detach().double()


def check_tensor(x: Any) -> None:
    """Raise UsageError for an array or a list.

    >>> import torch
    >>> check_tensor(torch.zeros(2, 3))
    """
    if not isinstance(x, Tensor):
        raise UsageError(f"samples as a {type(x).__name__}; torch.as_tensor(x) makes a tensor")
