"""Focal loss (arXiv:1708.02002): cross-entropy that hardly counts what is easy.

(1 - p)^gamma times -log p, p the probability of what is right: a thousand easy backgrounds no
longer drown one object. gamma = 0 is cross-entropy.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.numbers import check_rates, check_shares
from ..core.parts import Part
from ._labels import check_floats, check_labels, check_same, holds, reduce
from .losses import Loss

PARTS = {
    "Focal loss": Part(
        "Losses", "sn.nn.focal_loss, sn.nn.focal_logistic",
        "-(1 - p)^gamma log p of the right class, or of each yes or no; loss=focal in a recipe",
    ),
}  # fmt: skip


def focal_loss(
    logits_BK: Tensor, labels_B: Tensor, gamma: float = 2.0, *, reduction: str = "mean"
) -> Tensor:
    """logits_BK, labels_B -> -(1 - p)^gamma log p of the right class's probability p.

    The mean over the batch, or what `reduction` says (sum, none: one for each sample). Raises
    UsageError for shapes and labels that do not fit, and where gamma is below 0.

    >>> logits_BK = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
    >>> focal_loss(logits_BK, torch.tensor([0, 0]), reduction="none")
    tensor([0.0011, 0.1733])
    """
    check_floats(logits_BK, "scores")
    labels_B = check_labels(logits_BK, labels_B)
    right_B = logits_BK.log_softmax(1).gather(1, labels_B[:, None])[:, 0]
    return reduce(_focal(right_B, gamma), reduction)


def focal_logistic(
    scores_BA: Tensor,
    labels_BA: Tensor,
    gamma: float = 2.0,
    *,
    alpha: float = 0.25,
    reduction: str = "mean",
) -> Tensor:
    """scores_BA, labels_BA (0 or 1) -> the sum over yes-or-no questions, mean over B.

    A yes weighs `alpha`, a no 1 - alpha: RetinaNet's loss, which divides its sum by the number of
    objects. Raises UsageError for shapes that differ, labels outside 0..1, gamma below 0 and alpha
    outside 0..1.

    >>> focal_logistic(torch.zeros(1, 2), torch.tensor([[1, 0]]), alpha=0.5)  # 2 * 1/2 * 1/4 * ln 2
    tensor(0.1733)
    """
    check_floats(scores_BA, "scores")
    check_same(scores_BA, labels_BA, "scores and labels")
    if not holds((labels_BA == 0) | (labels_BA == 1)):
        raise UsageError("labels must be 0 or 1; of signs +1 and -1 make (y + 1) / 2")
    check_shares(alpha=alpha)
    labels_BA = labels_BA.to(scores_BA.dtype)
    right_BA = F.logsigmoid((2 * labels_BA - 1) * scores_BA)
    weight_BA = alpha * labels_BA + (1 - alpha) * (1 - labels_BA)
    return reduce((weight_BA * _focal(right_BA, gamma)).flatten(1).sum(1), reduction)


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    """log of the right answer's probability -> its loss."""
    check_rates(gamma=gamma)
    if not gamma:
        return -log_p
    least = torch.finfo(log_p.dtype).tiny  # or the power of what misses nothing has no slope
    missing = (-log_p.expm1()).clamp(min=least)  # 1 - p
    return -(missing**gamma) * log_p


LOSSES = {"focal": Loss("cross-entropy that hardly counts what is easy, gamma 2", focal_loss)}
