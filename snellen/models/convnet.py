"""The course notes' template: INPUT -> [[CONV -> RELU]*N -> POOL]*M -> [FC -> RELU]*K -> FC.

x_BCHW -> M blocks of N convolutions, each block halves H and W -> K hidden layers -> logits_BK
Its size rules are kept: kernels of 3 or 5 with stride 1 and padding (F - 1)/2, so that only pools
change the size, and images whose side can be halved M times.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import nn

from ..core.errors import UsageError
from ._columns import Count, Natural, Share, Within
from ._network import Network
from ._parts import he_init, relu
from ._row import Row


@dataclass(frozen=True)
class ConvNet(Row):
    """The width doubles from block to block; `norm` puts batch norm after each convolution.

    >>> ConvNet(0, 0, convs=1, pools=2, fcs=0, imgsz=28).make(10, 1).stages
    ('block1', 'block2')
    """

    convs: Annotated[int, Within(0, 3)] = 2  # the notes: "usually N <= 3", K < 3
    pools: Natural = 3
    fcs: Annotated[int, Within(0, 2)] = 1
    kernel: Literal[3, 5] = 3
    width: Count = 32
    hidden: Count = 128
    norm: bool = False
    dropout: Share = 0.5
    imgsz: Count = 32
    input = (3, 32, 32)
    classes = 10
    family = "ConvNet"
    paper = "CS231n notes"
    thin = {"width": 8, "hidden": 16}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK, H = W = imgsz. Raises UsageError where a size rule is broken."""
        _keep_rule(self)
        stages: dict[str, nn.Module] = {}
        cin = channels
        for i in range(self.pools):
            layers: list[nn.Module] = []
            for _ in range(self.convs):
                cout = self.width << i
                layers.append(nn.Conv2d(cin, cout, self.kernel, padding=self.kernel // 2))
                layers += [nn.BatchNorm2d(cout), relu()] if self.norm else [relu()]
                cin = cout
            stages[f"block{i + 1}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
        head: list[nn.Module] = [nn.Flatten()]
        cin *= (self.imgsz >> self.pools) ** 2
        for _ in range(self.fcs):
            head += [nn.Linear(cin, self.hidden), relu(), nn.Dropout(self.dropout)]
            cin = self.hidden
        return he_init(Network(stages, nn.Sequential(*head, nn.Linear(cin, classes)), channels))


def _keep_rule(row: ConvNet) -> None:
    if row.imgsz % 2**row.pools:
        fitting = max(row.imgsz >> row.pools, 1) << row.pools
        raise UsageError(
            f"images of {row.imgsz}x{row.imgsz} cannot be halved pools={row.pools} times; "
            f"resize them (imgsz={fitting}) or take fewer pools"
        )


TABLE = {"convnet": ConvNet(550_570, 38_896_896)}
