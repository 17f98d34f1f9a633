"""Pieces shared by several families. A piece used by one family lives in that family's file."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..core.last import last_layer
from ._columns import Stem
from ._network import Network, heads

relu = partial(nn.ReLU, inplace=True)
relu6 = partial(nn.ReLU6, inplace=True)


def conv_bn(
    cin: int,
    cout: int,
    size: int | tuple[int, int],
    stride: int = 1,
    *,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = relu,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> nn.Sequential:
    """x_BCHW -> (B, cout, H/stride, W/stride): conv without bias, batch norm, activation.

    >>> conv_bn(3, 8, 3, 2)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 8, 16, 16])
    """
    if padding is None:
        padding = size // 2 if isinstance(size, int) else (size[0] // 2, size[1] // 2)
    conv = nn.Conv2d(cin, cout, size, stride, padding, groups=groups, bias=False)
    layers = [("conv", conv), ("bn", nn.BatchNorm2d(cout, eps, momentum))]
    return nn.Sequential(OrderedDict([*layers, ("act", act())] if act else layers))


def conv_relu(
    cin: int, cout: int, size: int, stride: int = 1, *, padding: int | None = None, groups: int = 1
) -> nn.Sequential:
    """x_BCHW -> (B, cout, H/stride, W/stride): convolution with bias, then ReLU.

    >>> conv_relu(3, 8, 5, 2)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 8, 16, 16])
    """
    pad = size // 2 if padding is None else padding
    conv = nn.Conv2d(cin, cout, size, stride, pad, groups=groups)
    return nn.Sequential(OrderedDict(conv=conv, act=relu()))


def pooled_head(cin: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """x_BCHW -> mean over HW -> dropout -> logits_BK.

    >>> pooled_head(8, 5)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 5])
    """
    layers: list[tuple[str, nn.Module]] = [("pool", nn.AdaptiveAvgPool2d(1))]
    layers += [("flatten", nn.Flatten())]
    layers += [("drop", nn.Dropout(dropout))] if dropout else []
    return nn.Sequential(OrderedDict([*layers, ("fc", nn.Linear(cin, classes))]))


def conv_head(cin: int, classes: int, *, dropout: float = 0.0, act: bool = False) -> nn.Sequential:
    """x_BCHW -> dropout -> conv 1x1 to K maps -> ReLU where `act` -> mean over HW -> logits_BK.

    >>> conv_head(8, 5)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 5])
    """
    layers: dict[str, nn.Module] = {"drop": nn.Dropout(dropout)} if dropout else {}
    layers |= {"fc": nn.Conv2d(cin, classes, 1), **({"act": relu()} if act else {})}
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(layers))


class Branches(nn.Module):
    """x_BCHW -> every branch's output side by side along the channels (GoogLeNet's concat).

    >>> Branches(nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 1))(torch.zeros(1, 3, 5, 5)).shape
    torch.Size([1, 6, 5, 5])
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> (B, sum of the branches' channels, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class SqueezeExcite(nn.Module):
    """x_BCHW -> x times a gate per channel, read off the channel means (arXiv:1709.01507).

    >>> SqueezeExcite(8, 2)(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(self, channels: int, squeezed: int, gate: Callable[[], nn.Module] = nn.Sigmoid):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the same shape."""
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


def classifier(
    cin: int, hidden: int, classes: int, dropout: float, *, before: bool = False
) -> list[nn.Module]:
    """x_BC -> logits_BK through two hidden layers, as in AlexNet and VGG.

    Dropout follows each hidden layer, or stands `before` it as in torchvision's AlexNet.

    >>> [type(layer).__name__ for layer in classifier(8, 4, 3, 0.5)]
    ['Linear', 'ReLU', 'Dropout', 'Linear', 'ReLU', 'Dropout', 'Linear']
    """
    layers: list[nn.Module] = []
    for width in (cin, hidden):
        hid, drop = [nn.Linear(width, hidden), relu()], [nn.Dropout(dropout)]
        layers += [*drop, *hid] if before else [*hid, *drop]
    return [*layers, nn.Linear(hidden, classes)]


def zero_bias(layer: nn.Module) -> None:
    """Start a last layer: PyTorch's weights, so that the first loss is near ln K, and no bias."""
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def he_init(net: Network, last: Callable[[nn.Module], None] = zero_bias) -> Network:
    """He's initial weights (arXiv:1502.01852) for ReLU layers, in place; biases zero.

    `last` starts the last layer of every head, here and when `replace_head` makes a fresh one.

    >>> net = he_init(Network({"conv1": conv_relu(1, 2, 3)}, pooled_head(2, 5), 1))
    >>> net.get_parameter("conv1.conv.bias")
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """
    net.start = last
    ends = [last_layer(head)[1] for head in heads(net)]
    for layer in net.modules():
        if layer in ends:
            last(layer)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            zero_bias(layer)
    return net


def image_stem(
    channels: int, width: int, kind: Stem, *, size: int = 7, ceil: bool = False
) -> nn.Sequential:
    """x_BCHW -> (B, width, H/4, W/4): conv of stride 2, pool 3x3 of stride 2; "small" is 3x3, H.

    >>> image_stem(3, 8, "imagenet")(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 8, 8, 8])
    """
    if kind == "small":
        return conv_bn(channels, width, 3)
    pool = nn.MaxPool2d(3, 2, 0 if ceil else 1, ceil_mode=ceil)
    return conv_bn(channels, width, size, 2).append(pool)


class Added(nn.Module):
    """x_BCHW -> x + branch(x), not rectified.

    >>> float(Added(nn.Identity())(torch.tensor(2.0)))
    4.0
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the same shape."""
        return x + self.branch(x)


def round_width(width: float, multiple: int = 8) -> int:
    """The nearest multiple, never below nine tenths of `width` (MobileNet's rule).

    >>> round_width(44.8), round_width(11), round_width(3)
    (48, 16, 8)
    """
    rounded = max(multiple, int(width + multiple / 2) // multiple * multiple)
    return rounded if rounded >= 0.9 * width else rounded + multiple
