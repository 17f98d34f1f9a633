"""L-softmax (arXiv:1612.02295; notes 004): softmax with the right class's angle times m.

f_j = |W_j| |x| cos(theta_j), and |W_y| |x| psi(theta_y) for the right class; no bias. m = 1 is
softmax cross-entropy.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_rates
from ..core.parts import Part
from ._labels import check_labels, check_reduction, check_weight, margin_loss
from .angles import psi

PARTS = {
    "L-softmax (large margin)": Part(
        "Losses", "sn.nn.LSoftmax, sn.nn.l_softmax",
        "softmax with |W_y| |x| psi(theta_y) for the right class; m = 1 is cross-entropy",
        "004",
    ),
}  # fmt: skip


def l_softmax(
    features_BD: Tensor,
    weight_KD: Tensor,
    labels_B: Tensor,
    *,
    margin: int = 2,
    mix: float | Tensor = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """features_BD, class vectors weight_KD, labels_B -> loss, mean over the batch.

    `reduction` gives the sum instead, or none: one for each sample. `mix` is the papers' lambda:
    the right class's psi becomes (mix * cos + psi) / (1 + mix). With many classes a training starts
    with a large one and lets it fall. Raises UsageError for shapes, labels and margins that do not
    fit.

    >>> features_BD, weight_KD = torch.tensor([[2.0, 0.0]]), torch.eye(2)
    >>> l_softmax(features_BD, weight_KD, torch.tensor([0]), margin=4)
    tensor(0.1269)
    """
    if isinstance(mix, float | int) and not mix >= 0:
        raise UsageError(f"mix={mix}; the papers' lambda is 0 or more")
    check_weight(features_BD, weight_KD)
    logits_BK = F.linear(features_BD, weight_KD)
    labels_B = check_labels(logits_BK, labels_B)
    right_BD = weight_KD[labels_B]
    cos_B1 = (F.normalize(features_BD) * F.normalize(right_BD)).sum(1, keepdim=True).clamp(-1, 1)
    length_B = torch.linalg.vector_norm(features_BD, dim=1)
    length_B1 = (length_B * torch.linalg.vector_norm(right_BD, dim=1))[:, None]
    harder_B1 = length_B1 * (psi(cos_B1, margin) - cos_B1) / (1 + mix)
    logits_BK = logits_BK.to(harder_B1.dtype)  # autocast halves a product's precision only
    logits_BK = logits_BK.scatter_add(1, labels_B[:, None], harder_B1)
    return margin_loss(logits_BK, labels_B, reduction)


class LSoftmax(nn.Module):
    """features_BD, labels_B -> loss; holds the class vectors. `logits` is for prediction.

    Raises UsageError for counts and a margin that are not whole numbers from 1 up.

    >>> loss = LSoftmax(classes=3, width=8, margin=2)
    >>> x_BD = torch.ones(4, 8)
    >>> loss(x_BD, torch.tensor([0, 1, 2, 0])).shape, loss.logits(x_BD).shape
    (torch.Size([]), torch.Size([4, 3]))
    """

    def __init__(
        self,
        classes: int,
        width: int,
        margin: int = 2,
        *,
        mix: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        check_counts(classes=classes, width=width, margin=margin)
        check_rates(mix=mix)
        check_reduction(reduction)
        self.margin, self.mix, self.reduction = margin, mix, reduction
        self.weight_KD = nn.Parameter(torch.empty(classes, width))
        nn.init.kaiming_normal_(self.weight_KD, nonlinearity="linear")

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> Tensor:
        """features_BD, labels_B -> loss."""
        return l_softmax(features_BD, self.weight_KD, labels_B, margin=self.margin, mix=self.mix,
                         reduction=self.reduction)  # fmt: skip

    def logits(self, features_BD: Tensor) -> Tensor:
        """features_BD -> logits_BK without the margin."""
        check_weight(features_BD, self.weight_KD)
        return F.linear(features_BD, self.weight_KD)
