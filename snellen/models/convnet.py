"""The course notes' template: INPUT -> [[CONV -> RELU]*N -> POOL]*M -> [FC -> RELU]*K -> FC.

x_BCHW -> M blocks of N convolutions, each block halves H and W -> K hidden layers -> logits_BK
Its size rules are kept: kernels of 3 or 5 with stride 1 and padding (F - 1)/2, so that only pools
change the size, and images whose side can be halved M times.
"""

from dataclasses import dataclass

from torch import nn

from ..core.errors import UsageError
from ._network import Network
from ._parts import he_init, relu
from ._row import Row

LIMITS = {"convs": (0, 3), "pools": (0, 6), "fcs": (0, 2)}  # what the notes call usual


@dataclass(frozen=True)
class ConvNet(Row):
    """The width doubles from block to block; `norm` puts batch norm after each convolution."""

    params: int
    macs: int
    convs: int = 2
    pools: int = 3
    fcs: int = 1
    kernel: int = 3
    width: int = 32
    hidden: int = 128
    norm: bool = False
    dropout: float = 0.5
    imgsz: int = 32
    input: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    family = "ConvNet"
    paper = "CS231n notes"
    thin = {"width": 8, "hidden": 16}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK, H = W = imgsz. Raises UsageError where a size rule is broken."""
        _keep_rules(self)
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


def _keep_rules(row: ConvNet) -> None:
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(row, name) <= high:
            raise UsageError(f"{name}={getattr(row, name)} is unusual; take {low} to {high}")
    if row.kernel not in (3, 5):
        raise UsageError(f"kernel={row.kernel} breaks the template's rule; take 3 or 5")
    if row.imgsz % 2**row.pools:
        fitting = max(row.imgsz >> row.pools, 1) << row.pools
        raise UsageError(
            f"images of {row.imgsz}x{row.imgsz} cannot be halved pools={row.pools} times; "
            f"resize them (imgsz={fitting}) or take fewer pools"
        )


TABLE = {"convnet": ConvNet(550_570, 38_896_896)}
