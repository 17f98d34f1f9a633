"""ESPCN, arXiv:1609.05158: all is computed on the small picture; its last maps are dealt out.

x_BCHW -> 64 -> 32 -> C * scale^2 maps, which are the pixels of -> y of (B, C, H*scale, W*scale)
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ._columns import Count
from ._network import Network
from ._row import Row


@dataclass(frozen=True)
class Espcn(Row):
    """`scale` times larger; two convolutions with tanh of `widths` before the last."""

    scale: Count = 3
    widths: tuple[Count, Count] = (64, 32)
    family = "Super-resolution"
    paper = "arXiv:1609.05158"
    task = "restore"
    input = (1, 17, 17)
    classes = 1
    thin = {"widths": (4, 3)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> y of `classes` channels, `scale` times larger."""
        first, second = self.widths
        stages = {
            "conv1": nn.Sequential(nn.Conv2d(channels, first, 5, padding=2), nn.Tanh()),
            "conv2": nn.Sequential(nn.Conv2d(first, second, 3, padding=1), nn.Tanh()),
        }
        return Network(stages, Dealt(second, classes, self.scale), channels)


class Dealt(nn.Module):
    """maps -> y_BCHW, `scale` times larger: each scale x scale pixels from as many maps."""

    def __init__(self, cin: int, classes: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.fc = nn.Conv2d(cin, self.outputs(classes), 3, padding=1)

    def outputs(self, classes: int) -> int:
        """Maps that the pixels of so many channels are dealt from."""
        return classes * self.scale**2

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> y_BCHW."""
        return F.pixel_shuffle(self.fc(x_BCHW), self.scale)


TABLE = {  #            parameters  multiply-adds
    "paper:espcn_x3": Espcn(22_729, 6_538_336),
    "espcn_x2": Espcn(21_284, 6_122_176, 2),
    "espcn_x4": Espcn(24_752, 7_120_960, 4),
}
