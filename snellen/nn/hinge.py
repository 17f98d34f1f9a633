"""Multiclass support vector machine losses, notes 003 and Weston and Watkins (1999).

Each wrong class pays for how far its score comes within delta of the right one's. Once all keep
their distance the loss is zero, whatever the scores: [10, -100, -100] is no better than
[10, 9, 9]. Before any learning it is (K-1) * delta, squared (K-1) * delta^2.
"""

from torch import Tensor

from ..core.numbers import check_rates
from ..core.parts import Part
from ._labels import check_labels, reduce
from .losses import Loss

PARTS = {
    "Multiclass SVM hinge (Weston-Watkins)": Part(
        "Losses",
        "sn.nn.multiclass_hinge, torch.nn.MultiMarginLoss",
        "sum over wrong classes of max(0, s_j - s_y + delta); K times MultiMarginLoss; at first "
        "(K-1) delta",
        "003",
    ),
    "Squared hinge (L2-SVM)": Part(
        "Losses", "sn.nn.squared_hinge", "sum over wrong classes of max(0, s_j - s_y + delta)^2",
        "003",
    ),
}  # fmt: skip


def multiclass_hinge(
    scores_BK: Tensor, labels_B: Tensor, delta: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """scores_BK, labels_B -> sum over j != y of max(0, s_j - s_y + delta).

    The mean over the batch, or what `reduction` says (sum, none: one for each sample). Raises
    UsageError for shapes and labels that do not fit and for a delta below 0.

    >>> import torch
    >>> scores_BK = torch.tensor([[10.0, -100.0, -100.0], [10.0, 9.0, 9.0], [0.0, 0.0, 0.0]])
    >>> multiclass_hinge(scores_BK, torch.tensor([0, 0, 0]), reduction="none")
    tensor([0., 0., 2.])
    """
    return reduce(_shortfalls(scores_BK, labels_B, delta).sum(1), reduction)


def squared_hinge(
    scores_BK: Tensor, labels_B: Tensor, delta: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """scores_BK, labels_B -> sum over j != y of max(0, s_j - s_y + delta)^2.

    It punishes large violations harder and is smooth where the other has its kink; else the same.

    >>> import torch
    >>> squared_hinge(torch.tensor([[3.0, 2.5, 5.0]]), torch.tensor([0]))
    tensor(9.2500)
    """
    return reduce(_shortfalls(scores_BK, labels_B, delta).square().sum(1), reduction)


def _shortfalls(scores_BK: Tensor, labels_B: Tensor, delta: float) -> Tensor:
    """How far each wrong class comes within delta; 0 for the right one.

    Not F.multi_margin_loss times K: on the CPU that has no half precision, and who watches calls of
    it (the doctor) would hear a loss K times smaller than the one that is trained.
    """
    check_rates(delta=delta)
    labels_B = check_labels(scores_BK, labels_B)
    labels_B1 = labels_B[:, None]
    short_BK = (scores_BK - scores_BK.gather(1, labels_B1) + delta).clamp(min=0)
    return short_BK.scatter(1, labels_B1, 0.0)


LOSSES = {
    "hinge": Loss("multiclass support vector machine", multiclass_hinge),
    "squared-hinge": Loss("its squared form", squared_hinge),
}
