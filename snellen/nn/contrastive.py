"""Contrastive loss (Hadsell, Chopra, LeCun 2006; notes 004): same pairs together, others apart."""

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_positive
from ..core.parts import Part
from ._labels import check_same, holds, reduce

PARTS = {
    "Contrastive loss": Part(
        "Losses",
        "sn.nn.contrastive_loss",
        "y d^2 + (1-y) max(0, m-d)^2 of a pair's distance d; the paper has half of it",
        "004",
    ),
}


def contrastive_loss(
    one_BD: Tensor,
    other_BD: Tensor,
    same_B: Tensor,
    *,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """one_BD, other_BD, same_B (1 or True: a pair) -> y d^2 + (1-y) max(0, margin - d)^2.

    d is the Euclidean distance. Other pairs at distance 0 have no direction to part in, and get
    gradient 0. Raises UsageError for shapes that do not fit and `same` outside 0..1.

    >>> one, other = torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.zeros(2, 2)
    >>> contrastive_loss(one, other, torch.tensor([True, False]), reduction="none")
    tensor([25.0000,  0.2500])
    """
    check_positive(margin=margin)
    check_same(one_BD, other_BD, "the two sides of the pairs")
    if one_BD.ndim != 2 or same_B.shape != one_BD.shape[:1]:
        raise UsageError(f"pairs of shape {tuple(one_BD.shape)} and same of shape "
                         f"{tuple(same_B.shape)}; (B, D) and (B,) are wanted")  # fmt: skip
    same_B = same_B.to(one_BD.dtype)
    if not holds((same_B >= 0) & (same_B <= 1)):
        raise UsageError("same must lie in 0..1; of signs +1 and -1 make (y + 1) / 2")
    difference_BD = one_BD - other_BD
    apart_B = (margin - torch.linalg.vector_norm(difference_BD, dim=1)).clamp(min=0)
    loss_B = same_B * difference_BD.square().sum(1) + (1 - same_B) * apart_B.square()
    return reduce(loss_B, reduction)
