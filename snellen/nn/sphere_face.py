"""A-softmax (SphereFace, arXiv:1704.08063; notes 004): L-softmax with class vectors of length 1.

Only the angle tells classes apart. A margin of 4 is too hard for fresh features, so the loss
starts near plain cosine softmax and the papers' lambda falls from step to step.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.numbers import check_counts, check_rates
from ..core.parts import Part
from ._labels import check_reduction, check_weight
from .large_margin import l_softmax

PARTS = {
    "A-softmax (SphereFace)": Part(
        "Losses", "sn.nn.ASoftmax, sn.nn.a_softmax",
        "L-softmax with |W| = 1; lambda is annealed from 1000 down to 5",
        "004",
    ),
    "Annealing of A-softmax": Part(
        "Losses", "sn.nn.annealed_mix", "lambda = max(5, 1000 / (1 + 0.12 step))", "004"
    ),
}  # fmt: skip


def annealed_mix(
    step: int | Tensor,
    start: float = 1000.0,
    *,
    rate: float = 0.12,
    power: float = 1.0,
    least: float = 5.0,
) -> float | Tensor:
    """Steps done -> lambda = max(least, start * (1 + rate * step) ** -power), as the authors train.

    A tensor of the steps gives a tensor: nothing waits for a GPU, and compilation does not begin
    anew at each step. Raises UsageError for a number below 0.

    >>> annealed_mix(0), round(annealed_mix(100), 2), annealed_mix(10_000)
    (1000.0, 76.92, 5.0)
    """
    check_rates(start=start, rate=rate, power=power, least=least)
    if not isinstance(step, Tensor):
        check_rates(step=step)
    mix = start * (1 + rate * step) ** -power
    return mix.clamp(min=least) if isinstance(mix, Tensor) else max(least, mix)


def a_softmax(
    features_BD: Tensor,
    weight_KD: Tensor,
    labels_B: Tensor,
    *,
    margin: int = 4,
    mix: float | Tensor = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """features_BD, class vectors weight_KD of any length, labels_B -> loss, mean over the batch.

    f_j = |x| cos(theta_j), and |x| (mix * cos + psi) / (1 + mix) of the right class's angle; m = 1
    is softmax over |x| cos(theta). `mix`, `reduction` and errors are those of `l_softmax`.

    >>> features_BD, weight_KD = torch.tensor([[2.0, 0.0]]), 7 * torch.eye(2)
    >>> a_softmax(features_BD, weight_KD, torch.tensor([0]), margin=4)
    tensor(0.1269)
    """
    unit_KD = F.normalize(weight_KD)
    return l_softmax(features_BD, unit_KD, labels_B, margin=margin, mix=mix, reduction=reduction)


class ASoftmax(nn.Module):
    """features_BD, labels_B -> loss; holds the class vectors and counts its steps in training mode.

    The count is a buffer, so a resumed training anneals on. `logits` is for prediction.
    Raises UsageError for counts and a margin that are not whole numbers from 1 up.

    >>> loss = ASoftmax(classes=3, width=8)
    >>> loss(torch.ones(4, 8), torch.tensor([0, 1, 2, 0])).shape, int(loss.num_steps)
    (torch.Size([]), 1)
    """

    num_steps: Tensor

    def __init__(
        self,
        classes: int,
        width: int,
        margin: int = 4,
        *,
        start: float = 1000.0,
        least: float = 5.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        check_counts(classes=classes, width=width, margin=margin)
        check_rates(start=start, least=least)
        check_reduction(reduction)
        self.margin, self.start, self.least, self.reduction = margin, start, least, reduction
        self.weight_KD = nn.Parameter(torch.empty(classes, width))
        nn.init.kaiming_normal_(self.weight_KD, nonlinearity="linear")
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.long))

    def forward(self, features_BD: Tensor, labels_B: Tensor) -> Tensor:
        """features_BD, labels_B -> loss."""
        steps = self.num_steps.to(torch.promote_types(features_BD.dtype, torch.float32))
        mix = annealed_mix(steps, self.start, least=self.least)
        if self.training:
            self.num_steps += 1
        return a_softmax(features_BD, self.weight_KD, labels_B, margin=self.margin, mix=mix,
                         reduction=self.reduction)  # fmt: skip

    def logits(self, features_BD: Tensor) -> Tensor:
        """features_BD -> logits_BK = |x| cos(theta)."""
        check_weight(features_BD, self.weight_KD)
        return F.linear(features_BD, F.normalize(self.weight_KD))

    def extra_repr(self) -> str:
        """What print shows."""
        classes, width = self.weight_KD.shape
        return f"{classes}, {width}, margin={self.margin}, start={self.start}, least={self.least}"
