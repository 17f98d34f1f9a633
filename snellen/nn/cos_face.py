"""AM-softmax (arXiv:1801.05599; CosFace, arXiv:1801.09414; notes 004): a margin on the cosine.

Features and class vectors have length 1; the right class's cosine is lowered by m before all are
scaled by s. m = 0 and s = 1 is softmax over cosines.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.numbers import check_counts, check_positive, check_rates
from ..core.parts import Part
from ._labels import check_labels, margin_loss, widen
from .angles import cosines
from .losses import Loss

MARGIN, SCALE = 0.35, 30.0  # the papers' for thousands of faces
PARTS = {
    "AM-softmax (CosFace)": Part(
        "Losses", "sn.nn.am_softmax, sn.nn.CosineLinear",
        "softmax over s (cos(theta) - m [right class]); loss=am-softmax in a recipe",
        "004",
    ),
}  # fmt: skip


def am_softmax(
    cosines_BK: Tensor,
    labels_B: Tensor,
    *,
    margin: float = MARGIN,
    scale: float = SCALE,
    reduction: str = "mean",
) -> Tensor:
    """cosines_BK, labels_B -> cross-entropy of scale * (cos - margin for the right class).

    The mean over the batch (`reduction`: sum, none). `sn.nn.cosines(features_BD, weight_KD)` makes
    the cosines. Raises UsageError for shapes and labels that do not fit.

    >>> am_softmax(torch.tensor([[0.8, 0.8]]), torch.tensor([0]), margin=0.5, scale=2.0)
    tensor(1.3133)
    """
    check_rates(margin=margin)
    check_positive(scale=scale)
    labels_B = check_labels(cosines_BK, labels_B)
    lower_BK = margin * F.one_hot(labels_B, cosines_BK.shape[1])
    return margin_loss(scale * (widen(cosines_BK) - lower_BK), labels_B, reduction)


class CosineLinear(nn.Module):
    """x_BI -> (B, O): scale * the cosine of x with each output's vector; more axes may lead.

    >>> layer = CosineLinear(8, 3)
    >>> layer(torch.randn(5, 8)).abs().max() <= layer.scale
    tensor(True)
    """

    def __init__(self, in_features: int, out_features: int, scale: float = SCALE) -> None:
        super().__init__()
        check_counts(in_features=in_features, out_features=out_features)
        check_positive(scale=scale)
        self.in_features, self.out_features, self.scale = in_features, out_features, scale
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        """x_*I -> (*, O)."""
        cosines_NK = cosines(x.flatten(0, -2), self.weight)
        return self.scale * cosines_NK.unflatten(0, x.shape[:-1])

    def with_outputs(self, outputs: int) -> "CosineLinear":
        """A fresh layer of the same kind for another number of outputs."""
        return CosineLinear(self.in_features, outputs, self.scale).to(self.weight)

    def extra_repr(self) -> str:
        """What print shows of it."""
        return f"{self.in_features}, {self.out_features}, scale={self.scale:g}"


def _head(last: nn.Linear) -> CosineLinear:
    return CosineLinear(last.in_features, last.out_features).to(last.weight)


def _of_logits(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    return am_softmax(widen(logits_BK) / SCALE, labels_B)


LOSSES = {"am-softmax": Loss("cross-entropy of scaled cosines with a margin; ends the network in a "
                             "CosineLinear", _of_logits, _head, scale=SCALE)}  # fmt: skip
