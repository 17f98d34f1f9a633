"""LeNet-5 as in LeCun 1998, section II: 60,000 trainable parameters, 340,908 connections.

x_BCHW -> C1 5x5 -> S2 -> C3 5x5 by a table -> S4 -> C5 -> F6 -> distance to each class's code
Three things are gone from today's LeNet (lenet.py): sub-sampling has a trainable gain and bias, C3
connects chosen maps only, and the output compares F6 with a fixed picture of the digit.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._network import Network
from ._row import Row

C3_TABLE = (  # table I: the maps of S2 that each map of C3 sees
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5), (0, 1, 2, 3), (1, 2, 3, 4),
    (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5),
    (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
CODE = 84  # 7x12 pixels, as many as F6 has units
DIGITS = """
.#####. ...#... .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
##...## ..##... ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## .###... .....## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...#... .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...#... ....##. ..####. ##..##. ######. ######. ....##. .#####. ##...##
##...## ...#... ...##.. ..####. ##..##. ##...## ##...## ...##.. .#####. .######
##...## ...#... ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...#... .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...#... ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
.#####. .#####. ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""  # 0 to 9 as figure 3 draws them, 7 wide and 12 high


class Squash(nn.Module):
    """x_BCHW -> 1.7159 tanh(2x/3), same shape: the paper's sigmoid, which maps +-1 to +-1.

    >>> Squash()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.0000,  0.0000,  1.0000])
    """

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same shape."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class SubSample(nn.Module):
    """x_BCHW -> (B, C, H/2, W/2): gain times the sum of 2x2, plus bias, squashed.

    >>> SubSample(6)(torch.zeros(1, 6, 28, 28)).shape
    torch.Size([1, 6, 14, 14])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.squash = Squash()

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, C, H/2, W/2)."""
        return self.squash(4 * F.avg_pool2d(x, 2) * self.gain + self.bias)


class TableConv(nn.Module):
    """x_BCHW -> (B, len(table), H-4, W-4): each map a 5x5 convolution of its own choice of maps.

    >>> TableConv(((0, 1), (1, 2)))(torch.zeros(1, 3, 14, 14)).shape
    torch.Size([1, 2, 10, 10])
    """

    def __init__(self, table: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.table = [list(maps) for maps in table]
        self.convs = nn.ModuleList(nn.Conv2d(len(maps), 1, 5) for maps in table)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, len(table), H-4, W-4)."""
        maps = zip(self.table, self.convs, strict=True)
        return torch.cat([conv(x[:, chosen]) for chosen, conv in maps], 1)


class RadialBasis(nn.Module):
    """x_BD -> logits_BK: minus the squared distance to each class's code of +-1, which is fixed.

    The codes of ten classes are pictures of printed digits, as the paper's; other classes have
    codes that were drawn once.

    >>> pictures = RadialBasis(84, 10).code_KD.view(10, 12, 7)
    >>> "".join(".#"[int(pixel > 0)] for pixel in pictures[7, 0])
    '#######'
    """

    code_KD: Tensor

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(1998)
        codes = torch.randint(0, 2, (classes, inputs), generator=draw, device="cpu")
        if (classes, inputs) == (10, CODE):
            rows = [line.split() for line in DIGITS.split("\n") if line]
            ink = [[pixel == "#" for row in rows for pixel in row[k]] for k in range(10)]
            codes = torch.tensor(ink, device="cpu").long()
        self.register_buffer("code_KD", (2.0 * codes - 1.0).to(torch.empty(0).device))

    def forward(self, x: Tensor) -> Tensor:
        """x_BD -> logits_BK."""
        return -(x[:, None] - self.code_KD).square().sum(2)

    def with_outputs(self, classes: int) -> "RadialBasis":
        """The same layer for another number of classes."""
        return RadialBasis(self.code_KD.shape[1], classes).to(self.code_KD.device)


@dataclass(frozen=True)
class LeNet1998(Row):
    """One network; nothing to choose.

    >>> LeNet1998(0, 0).make(10, 1).stages
    ('c1', 's2', 'c3', 's4', 'c5', 'f6')
    """

    input = (1, 32, 32)
    classes = 10
    family = "LeNet"
    paper = "LeCun 1998"
    thin = {}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK, H = W = 32."""
        stages = {
            "c1": nn.Sequential(nn.Conv2d(channels, 6, 5), Squash()),
            "s2": SubSample(6),
            "c3": nn.Sequential(TableConv(C3_TABLE), Squash()),
            "s4": SubSample(16),
            "c5": nn.Sequential(nn.Conv2d(16, 120, 5), Squash(), nn.Flatten()),
            "f6": nn.Sequential(nn.Linear(120, CODE), Squash()),
        }
        head = nn.Sequential(OrderedDict(rbf=RadialBasis(CODE, classes)))
        return _paper_init(Network(stages, head, channels))


def _paper_init(net: Network) -> Network:
    """Uniform between -2.4 and 2.4 over the number of inputs (appendix A)."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 2.4 / layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return net


TABLE = {"paper:lenet5_1998": LeNet1998(60_000, 325_680)}
