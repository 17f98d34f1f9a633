"""The step that makes L1 exact: gradient descent on the rest, then every weight towards zero.

A step along the gradient of |w| jumps to and fro over zero; soft thresholding stops there. With an
orthonormal design it is the whole solution of the lasso (Tibshirani 1996).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..core.numbers import check_rates
from ..core.parts import Part

PARTS = {
    "Soft threshold": Part(
        "Regularisers", "sn.optim.soft_threshold, sn.optim.shrink_",
        "sign(w) max(0, |w| - t): the exact step of L1, after each optimiser step with t = lr * l1",
    ),
}  # fmt: skip


def soft_threshold(weights: Tensor, amount: float) -> Tensor:
    """Weights, any shape -> sign(w) * max(0, |w| - amount).

    Raises UsageError for a negative or non-finite amount.

    >>> soft_threshold(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
    tensor([-2.,  0.,  1.])
    """
    check_rates(amount=amount)
    return weights.sign() * (weights.abs() - amount).clamp(min=0)


@torch.no_grad()
def shrink_(params: Iterable[Tensor], amount: float) -> None:
    """Every parameter by `soft_threshold` in place: call it after optimizer.step().

    >>> weight = torch.nn.Parameter(torch.tensor([0.5, -2.0])); shrink_([weight], 1.0); weight.data
    tensor([ 0., -1.])
    """
    for param in params:
        param.copy_(soft_threshold(param, amount))
