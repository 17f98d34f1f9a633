"""Test-time crops (AlexNet): corners and middle, and their mirror images; predictions are averaged.

x_BVCHW = ten_crops(x_BCHW, (224, 224))
shares_BK = over_views(net, x_BVCHW)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ...core.parts import Part
from .window import fits, middle

PARTS = {
    "Test-time crops (five, ten)": Part(
        "Augmentations",
        "sn.data.augment.views.ten_crops, sn.data.augment.views.over_views",
        "corners and middle, and their mirror images; their class probabilities are averaged",
        "003",
    ),
}


def five_crops(x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """x_BCHW, (h, w) -> x_B5Chw: upper left, upper right, lower left, lower right, middle.

    Raises UsageError where the window does not fit.

    >>> five_crops(torch.arange(9).view(1, 1, 3, 3), (1, 1)).flatten().tolist()
    [0, 2, 6, 8, 4]
    """
    fits(x_BCHW, size)
    height, width = x_BCHW.shape[-2:]
    low, right = height - size[0], width - size[1]
    corners = [(0, 0), (0, right), (low, 0), (low, right), middle((height, width), size)]
    return torch.stack(
        [x_BCHW[..., top : top + size[0], left : left + size[1]] for top, left in corners], 1
    )


def ten_crops(x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """x_BCHW, (h, w) -> x_B10Chw: the five crops, then the same five mirrored.

    >>> ten_crops(torch.arange(12).view(1, 1, 3, 4), (1, 2))[0, :, 0, 0].tolist()[4:7]
    [[5, 6], [1, 0], [3, 2]]
    """
    five = five_crops(x_BCHW, size)
    return torch.cat([five, five.flip(-1)], 1)


def over_views(net: Callable[[Tensor], Tensor], x_BVCHW: Tensor) -> Tensor:
    """A network, x_BVCHW of V views -> the mean of their class probabilities, shares_BK.

    >>> net = lambda x: x.flatten(1)
    >>> over_views(net, torch.tensor([0.0, 0.0, 9.0, 9.0]).view(1, 2, 2, 1, 1))
    tensor([[0.5000, 0.5000]])
    """
    logits_BK = net(x_BVCHW.flatten(0, 1))
    return logits_BK.softmax(1).unflatten(0, x_BVCHW.shape[:2]).mean(1)
