"""The notation of the Inception papers' figures, read by a few lines of code.

A branch is written as it is drawn: "1x1 64 > 3x3 96 > 3x3 96 /2 v" is three convolutions, the last
with stride 2 and without padding ("v" for valid). "avg" and "max" are 3x3 pools that keep the size,
"max /2" halves it. "1x1 384 > (1x3 256 | 3x1 256)" splits at its end. A module sets its branches'
outputs side by side.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._parts import Branches, relu

# Inception v3's, and by the published weights also Inception-ResNet v2's
STEM = "3x3 32 /2 v > 3x3 32 v > 3x3 64 > max /2 > 1x1 80 > 3x3 192 v > max /2"
CONV = re.compile(r"(\d+)x(\d+) (\d+)( /2)?( v)?")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours, in 0..1


@dataclass(frozen=True)
class Style:
    """What all convolutions and pools of a network have in common.

    >>> Style(scale=4).norm
    True
    """

    norm: bool = True
    bias: bool = False
    eps: float = 1e-3
    pad_counts: bool = True  # average pooling counts the padding's zeros
    ceil: bool = False  # pools of stride 2 round up
    scale: int = 1  # divides every width


def conv(cin: int, text: str, style: Style) -> tuple[nn.Sequential, int]:
    """cin and "KxL cout [/2] [v]" -> convolution, norm, ReLU; and its output channels.

    >>> conv(3, "3x3 8 /2 v", Style())[0].conv
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), bias=False)
    """
    match = CONV.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no convolution; one is written '3x3 64 /2 v'")
    height, width, cout = (int(match[i]) for i in (1, 2, 3))
    cout = max(1, cout // style.scale)
    padding = (0, 0) if match[5] else (height // 2, width // 2)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(
        cin, cout, (height, width), 2 if match[4] else 1, padding, bias=style.bias
    )
    if style.norm:
        layers["bn"] = nn.BatchNorm2d(cout, style.eps)
    layers["act"] = relu()
    return nn.Sequential(layers), cout


def branch(cin: int, text: str, style: Style) -> tuple[nn.Sequential, int]:
    """cin and "step > step > ..." -> the steps in order, and the output channels.

    >>> branch(3, "1x1 8 > (1x3 4 | 3x1 4) ", Style())[1]
    8
    """
    steps = []
    for step in map(str.strip, text.split(">")):
        part: nn.Module
        if step.startswith("("):
            part, cin = mixed(cin, step[1:-1].replace("|", ";"), style)
        elif step == "avg":
            part = nn.AvgPool2d(3, 1, 1, count_include_pad=style.pad_counts)
        elif step == "max":
            part = nn.MaxPool2d(3, 1, 1)
        elif step == "max /2":
            part = nn.MaxPool2d(3, 2, ceil_mode=style.ceil)
        else:
            part, cin = conv(cin, step, style)
        steps.append(part)
    return nn.Sequential(*steps), cin


def mixed(cin: int, text: str, style: Style) -> tuple[Branches, int]:
    """cin and "branch ; branch ; ..." -> the inception module, and its output channels.

    >>> mixed(3, "1x1 8 ; max > 1x1 4", Style())[1]
    12
    """
    branches = [branch(cin, one.strip(), style) for one in text.split(";")]
    return Branches(*(module for module, _ in branches)), sum(width for _, width in branches)


class Rescale(nn.Module):
    """x_B3HW standardised by ImageNet's mean and spread -> the same pixels as (p - 0.5) / 0.5.

    >>> black = -torch.tensor(MEAN) / torch.tensor(SPREAD)
    >>> Rescale()(black[None, :, None, None]).flatten().round(decimals=4)
    tensor([-1., -1., -1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """x_B3HW -> the same shape."""
        pairs = zip(x.split(1, 1), MEAN, SPREAD, strict=True)
        return torch.cat([c * (std / 0.5) + (mean - 0.5) / 0.5 for c, mean, std in pairs], 1)


def rescaled(stage: nn.Module, channels: int, asked: bool) -> nn.Module:
    """The first stage, behind a Rescale where that is asked for and the images have three colours.

    >>> [type(layer).__name__ for layer in rescaled(nn.Sequential(nn.Conv2d(3, 2, 1)), 3, True)]
    ['Rescale', 'Conv2d']
    """
    if not asked or channels != len(MEAN):
        return stage
    return nn.Sequential(OrderedDict(rescale=Rescale(), **stage._modules))  # type: ignore[arg-type]
