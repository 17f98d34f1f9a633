"""Whether something is anywhere in a picture: residual attention, arXiv:2108.02456 (CSRA).

Every cell has a score for each attribute; the mean over cells says what the picture is like, the
attention of each attribute, what stands out somewhere.
"""

import torch
from torch import Tensor, nn

from ..core.numbers import check_counts, check_rates
from ..core.parts import Part

PARTS = {
    "Presence head": Part(
        "Detection and segmentation", "sn.nn.PresenceHead",
        "attributes off a map: mean score over cells and each attribute's own attention (CSRA)",
    )
}  # fmt: skip


class PresenceHead(nn.Linear):
    """x_BCHW -> scores_BA: mean over cells, and `share` of the mean that attention weighs.

    >>> PresenceHead(8, 3)(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 3])
    """

    def __init__(self, channels: int, attributes: int, share: float = 1.0) -> None:
        check_counts(channels=channels, attributes=attributes)
        check_rates(share=share)
        super().__init__(channels, attributes)
        self.share = share
        nn.init.normal_(self.weight, std=0.01)
        self.bias = nn.Parameter(torch.zeros(attributes))

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> scores_BA."""
        scores_BAP = super().forward(x.flatten(2).mT).mT
        attention_BAP = scores_BAP.softmax(2)
        return scores_BAP.mean(2) + self.share * (attention_BAP * scores_BAP).sum(2)
