"""FSRCNN, arXiv:1608.00367: features of the small picture, shrunk, mapped, expanded, enlarged.

x_BCHW -> 5x5, 56 maps -> 1x1, 12 -> four 3x3 -> 1x1, 56 -> 9x9 transposed -> y, scale times larger
"""

from dataclasses import dataclass

from torch import nn

from ._columns import Count
from ._network import Network
from ._parts import he_init
from ._row import Row


@dataclass(frozen=True)
class Fsrcnn(Row):
    """FSRCNN(d, s, m) of the paper: `width`, `shrunk`, `depth`; `scale` times larger."""

    scale: Count = 3
    width: Count = 56
    shrunk: Count = 12
    depth: Count = 4
    family = "Super-resolution"
    paper = "arXiv:1608.00367"
    task = "restore"
    input = (1, 17, 17)
    classes = 1
    thin = {"width": 6, "shrunk": 3, "depth": 2}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> y of `classes` channels, `scale` times larger."""
        stages = {"extract": _conv(channels, self.width, 5)}
        stages["shrink"] = _conv(self.width, self.shrunk, 1)
        for i in range(1, self.depth + 1):
            stages[f"map{i}"] = _conv(self.shrunk, self.shrunk, 3)
        stages["expand"] = _conv(self.shrunk, self.width, 1)
        head = nn.Sequential(Enlarging(self.width, classes, self.scale))
        net = he_init(Network(stages, head, channels))
        net.start = _begin
        _begin(head[0])
        return net


class Enlarging(nn.ConvTranspose2d):
    """x_BCHW -> y, `scale` times larger: a 9x9 transposed convolution."""

    def __init__(self, cin: int, cout: int, scale: int) -> None:
        super().__init__(cin, cout, 9, scale, padding=4, output_padding=scale - 1)

    def with_outputs(self, classes: int) -> "Enlarging":
        """The layer for so many channels."""
        return Enlarging(self.in_channels, classes, self.stride[0]).to(self.weight)


def _begin(last: nn.Module) -> None:
    """The paper's weights: a sum of many maps begins near nothing."""
    nn.init.normal_(last.get_parameter("weight"), 0, 0.001)


def _conv(cin: int, cout: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, size, padding=size // 2), nn.PReLU(cout))


TABLE = {  #              parameters  multiply-adds
    "paper:fsrcnn_x3": Fsrcnn(12_809, 3_602_096),
    "fsrcnn_x2": Fsrcnn(12_809, 3_602_096, 2),
    "fsrcnn_x4": Fsrcnn(12_809, 3_602_096, 4),
}
