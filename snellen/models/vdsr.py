"""VDSR, arXiv:1511.04587: twenty convolutions tell what is missing in an enlarged picture.

x_BCHW, enlarged -> 20 convolutions of 3x3 -> what is added to it -> y_BCHW of the same size
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ._columns import Count
from ._network import Network
from ._parts import he_init, relu
from ._row import Row


@dataclass(frozen=True)
class Vdsr(Row):
    """`depth` convolutions without biases, all but the last of `width` maps."""

    depth: Count = 20
    width: Count = 64
    family = "Super-resolution"
    paper = "arXiv:1511.04587"
    task = "restore"
    input = (1, 41, 41)
    classes = 1
    thin = {"depth": 4, "width": 4}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> y of `classes` channels."""
        stages: dict[str, nn.Module] = {"image": nn.Identity()}
        for i in range(1, self.depth):
            cin = self.width if i > 1 else channels
            stages[f"conv{i}"] = nn.Sequential(
                nn.Conv2d(cin, self.width, 3, padding=1, bias=False), relu()
            )
        taps = ("image", f"conv{self.depth - 1}")
        net = he_init(Network(stages, Missing(self.width, classes), channels, taps=taps))
        net.start = _begin_with_nothing
        _begin_with_nothing(net.head.get_submodule("fc"))
        return net


class Missing(nn.Module):
    """[x_BCHW, its last maps] -> x + what they say is missing."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, channels, 3, padding=1, bias=False)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """[x_BCHW, maps] -> y_BCHW."""
        x_BCHW, maps = seen
        return x_BCHW + self.fc(maps)


def _begin_with_nothing(last: nn.Module) -> None:
    """A tenth of He's weights: what is added begins small, and the picture as it came."""
    nn.init.kaiming_normal_(last.get_parameter("weight"), nonlinearity="relu").data.mul_(0.1)


TABLE = {  #         parameters  multiply-adds
    "paper:vdsr": Vdsr(664_704, 1_117_367_424),
    "vdsr-small": Vdsr(37_440, 62_936_640, 6, 32),
}
