"""The multi-layer perceptron, Rumelhart 1986: flatten, hidden layers with ReLU, logits.

x_BCHW -> x_B(CHW) -> fc -> ReLU -> ... -> logits_BK
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from ._columns import Count, Share
from ._network import Network
from ._parts import he_init
from ._row import Row


@dataclass(frozen=True)
class MLP(Row):
    """Hidden layers by width; the first is sized for images of `imgsz`.

    >>> MLP(0, 0, imgsz=8).make(10, 1).stages
    ('flatten', 'hidden1', 'hidden2')
    """

    hidden: tuple[Count, ...] = (256, 128)
    dropout: Share = 0.0
    imgsz: Count = 28
    input = (1, 28, 28)
    classes = 10
    family = "MLP"
    paper = "Rumelhart 1986"
    thin = {"hidden": (16,), "imgsz": 32}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK, H = W = imgsz."""
        stages: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        cin = channels * self.imgsz**2
        for i, width in enumerate(self.hidden, 1):
            layers = [nn.Linear(cin, width), nn.ReLU(inplace=True)]
            stages[f"hidden{i}"] = nn.Sequential(*layers, nn.Dropout(self.dropout))
            cin = width
        net = Network(stages, nn.Sequential(OrderedDict(fc=nn.Linear(cin, classes))), channels)
        return he_init(net)


TABLE = {"mlp": MLP(235_146, 234_752)}
