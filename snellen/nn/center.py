"""Center loss (Wen et al., ECCV 2016; notes 004): features of a class gather round its centre.

It stands beside a softmax loss, weighted by about 0.003 to 0.1; alone it would pull everything
into one point.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.numbers import check_counts, check_shares
from ..core.parts import Part
from ._labels import check_labels, check_reduction, check_weight, reduce, widen

PARTS = {
    "Center loss": Part(
        "Losses",
        "sn.nn.CenterLoss",
        "1/2 |x - c_y|^2 beside a softmax loss; centres follow by c -= alpha sum(c - x) / (1 + n)",
        "004",
    ),
}


class CenterLoss(nn.Module):
    """features_BD, labels_B -> 1/2 |x - c_y|^2, mean over the batch (`reduction`: sum, none).

    In training mode each call then moves the centres as the paper does, without a gradient:
    c_j -= alpha * sum over the class of (c_j - x) / (1 + n_j). A class that is not in the batch
    rests, as do all under no_grad; a sample that is not finite moves nothing. The centres stay in
    float32 at least, whatever the module is cast to: sums of many features need its digits.
    Raises UsageError for shapes, labels and settings that do not fit.

    >>> loss = CenterLoss(classes=2, width=1, alpha=0.5)
    >>> loss(torch.tensor([[2.0], [4.0]]), torch.tensor([0, 0]))
    tensor(5.)
    >>> loss.centers_KD
    tensor([[1.],
            [0.]])
    """

    centers_KD: Tensor

    def __init__(
        self, classes: int, width: int, alpha: float = 0.5, *, reduction: str = "mean"
    ) -> None:
        super().__init__()
        check_counts(classes=classes, width=width)
        check_shares(alpha=alpha)
        check_reduction(reduction)
        self.alpha, self.reduction = alpha, reduction
        self.register_buffer("centers_KD", torch.zeros(classes, width))

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> Tensor:
        """features_BD, labels_B -> loss; moves the centres in training mode."""
        check_weight(features_BD, self.centers_KD)
        labels_B = check_labels(features_BD[:, :1].expand(-1, len(self.centers_KD)), labels_B)
        away_BD = widen(features_BD) - self.centers_KD[labels_B]
        loss = reduce(away_BD.square().sum(1) / 2, self.reduction)
        if self.training and torch.is_grad_enabled():
            self._move(features_BD.detach(), labels_B)
        return loss

    @torch.no_grad()
    def _move(self, features_BD: Tensor, labels_B: Tensor) -> None:
        features_BD = features_BD.to(self.centers_KD.dtype)
        is_sound_B = features_BD.isfinite().all(1)
        away_BD = self.centers_KD[labels_B] - features_BD
        away_BD = torch.where(is_sound_B[:, None], away_BD, 0)
        sums_KD = torch.zeros_like(self.centers_KD).index_add_(0, labels_B, away_BD)
        counts_K = torch.zeros_like(sums_KD[:, 0]).index_add_(0, labels_B, is_sound_B.to(sums_KD))
        self.centers_KD -= self.alpha * sums_KD / (1 + counts_K)[:, None]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "CenterLoss":
        wide_KD = self.centers_KD
        super()._apply(fn, recurse)  # what .to(), .half() and .cuda() come down to
        if self.centers_KD.dtype != widen(self.centers_KD).dtype:
            self.centers_KD = wide_KD.to(self.centers_KD.device)
        return self

    def extra_repr(self) -> str:
        """What print(loss) shows."""
        classes, width = self.centers_KD.shape
        return f"{classes}, {width}, alpha={self.alpha}, reduction={self.reduction}"
