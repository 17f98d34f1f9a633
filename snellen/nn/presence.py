"""Whether something is anywhere in a picture: residual attention, arXiv:2108.02456 (CSRA).

Every cell has a score for each attribute; the mean over cells says what the picture is like, the
attention of each attribute, what stands out somewhere.
"""

from torch import Tensor, nn

from ..core.parts import Part

PARTS = {
    "Presence head": Part(
        "Detection and segmentation", "sn.nn.PresenceHead",
        "attributes off a map: mean score over cells and each attribute's own attention (CSRA)",
    )
}  # fmt: skip


class PresenceHead(nn.Module):
    """x_BCHW -> scores_BA: mean over cells, and `share` of the mean that attention weighs.

    >>> import torch
    >>> PresenceHead(8, 3)(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 3])
    """

    def __init__(self, channels: int, attributes: int, share: float = 1.0) -> None:
        super().__init__()
        self.share = share
        self.look = nn.Conv2d(channels, attributes, 1)
        nn.init.normal_(self.look.weight, std=0.01)
        nn.init.zeros_(self.look.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> scores_BA."""
        scores_BAP = self.look(x).flatten(2)
        attention_BAP = scores_BAP.softmax(2)
        return scores_BAP.mean(2) + self.share * (attention_BAP * scores_BAP).sum(2)
