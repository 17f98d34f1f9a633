"""SRCNN, arXiv:1501.00092: three convolutions sharpen a picture that was enlarged before.

x_BCHW, enlarged -> patches of 9x9 -> 64 features -> 32 -> y_BCHW of the same size
"""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from ._columns import Count
from ._network import Network
from ._parts import conv_relu, he_init
from ._row import Row


@dataclass(frozen=True)
class Srcnn(Row):
    """`sizes` of the three kernels; the first two convolutions have `widths`.

    Zeros pad the picture, so that the answer has its size; the paper's own loses a border.
    """

    sizes: tuple[Count, ...] = (9, 1, 5)
    widths: tuple[Count, ...] = (64, 32)
    family = "Super-resolution"
    paper = "arXiv:1501.00092"
    task = "restore"
    input = (1, 33, 33)
    classes = 1
    thin = {"widths": (4, 3)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> y of `classes` channels."""
        widths = pairwise((channels, *self.widths))
        rows = zip(widths, self.sizes, strict=False)
        stages = {f"conv{i}": conv_relu(*ins, size) for i, (ins, size) in enumerate(rows, 1)}
        size = self.sizes[-1]
        last = nn.Conv2d(self.widths[-1], classes, size, padding=size // 2)
        return he_init(Network(stages, nn.Sequential(last), channels))


TABLE = {  #                parameters  multiply-adds
    "paper:srcnn_9-1-5": Srcnn(8_129, 8_746_848),
    "paper:srcnn_9-5-5": Srcnn(57_281, 62_273_376, (9, 5, 5)),
}
