"""SqueezeNet, arXiv:1602.07360 table 1: AlexNet's accuracy on a fiftieth of its weights.

x_BCHW -> conv -> fire modules, pools between -> conv 1x1 -> mean over HW -> logits_BK
A fire module squeezes to few maps by 1x1 and expands by 1x1 beside 3x3. `bypass` adds the paper's
simple shortcuts around every other fire module (figure 2, middle).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._columns import Count, Natural, Share
from ._names import Named
from ._network import Network
from ._parts import conv_head, conv_relu, he_init
from ._row import Row


class Fire(nn.Module):
    """x_BCHW -> (B, 2 expand, H, W), with x added where `bypass`.

    >>> Fire(16, 4, 8, False)(torch.zeros(1, 16, 5, 5)).shape
    torch.Size([1, 16, 5, 5])
    """

    def __init__(self, cin: int, squeeze: int, expand: int, bypass: bool) -> None:
        super().__init__()
        self.squeeze = conv_relu(cin, squeeze, 1)
        self.expand1 = conv_relu(squeeze, expand, 1)
        self.expand3 = conv_relu(squeeze, expand, 3)
        self.bypass = bypass

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, 2 expand, H, W)."""
        squeezed = self.squeeze(x)
        out = torch.cat([self.expand1(squeezed), self.expand3(squeezed)], 1)
        return out + x if self.bypass else out


@dataclass(frozen=True)
class SqueezeNet(Row):
    """`pools` names the fire modules (0: the stem) that a pool follows.

    >>> SqueezeNet(0, 0, stem=(3, 64), pools=(0, 2, 4)).make(10).stages[:3]
    ('stem', 'fire2', 'fire3')
    """

    stem: tuple[Count, Count]  # kernel and width of the first convolution
    pools: tuple[Natural, ...]
    squeezes: tuple[Count, ...] = (16, 16, 32, 32, 48, 48, 64, 64)
    expand: Count = 4  # expanded maps for each squeezed one, 1x1 and 3x3 each
    bypass: bool = False
    dropout: Share = 0.5
    family = "SqueezeNet"
    paper = "arXiv:1602.07360"
    names = (
        Named(
            "torchvision",
            "features.# features.#.(squeeze expand1x1 expand3x3) classifier.#",
            {"bypass": False},
        ),
    )
    thin = {"squeezes": (4, 4, 8, 8), "pools": (0, 3)}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BK."""
        kernel, cin = self.stem
        stages: dict[str, nn.Module] = {"stem": conv_relu(channels, cin, kernel, 2, padding=0)}
        for i, squeeze in enumerate(self.squeezes, 1):
            expand = squeeze * self.expand
            fire = Fire(cin, squeeze, expand, self.bypass and cin == 2 * expand)
            stages[f"fire{i + 1}"] = nn.Sequential(fire)
            cin = 2 * expand
        for i, stage in enumerate(list(stages.values())):
            if i in self.pools:
                stage.append(nn.MaxPool2d(3, 2, ceil_mode=True))  # type: ignore[operator]
        head = conv_head(cin, classes, dropout=self.dropout, act=True)
        return he_init(Network(stages, head, channels), _alive)


def _alive(layer: nn.Module) -> None:
    """The ReLU stands on the logits: a class whose map is negative on every image stays at 0
    without a gradient. From 0 two to six of ten classes died so in the first steps.
    """
    nn.init.normal_(layer.weight, std=0.01)  # type: ignore[arg-type]
    nn.init.ones_(layer.bias)  # type: ignore[arg-type]


TABLE = {
    "tv:squeezenet1_0": SqueezeNet(
        1_248_424, 818_924_576, stem=(7, 96), pools=(0, 3, 7), top1=(58.092, "IMAGENET1K_V1")
    ),
    "tv:squeezenet1_1": SqueezeNet(
        1_235_496, 349_151_936, stem=(3, 64), pools=(0, 2, 4), top1=(58.178, "IMAGENET1K_V1")
    ),
    "squeezenet1_0_bypass": SqueezeNet(
        1_248_424, 818_924_576, stem=(7, 96), pools=(0, 3, 7), bypass=True
    ),
}
