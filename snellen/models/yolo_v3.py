"""YOLO v3, arXiv:1804.02767: Darknet-53 and a pyramid that reads boxes off three of its maps.

x_BCHW -> three maps (B, A x (5 + K), H, W), fine to coarse; `sn.nn.YoloV3` says what they mean.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._parts import conv_bn


class Pyramid(nn.Module):
    """The body's last three maps -> raw maps; each scale is told what the coarser one saw.

    x_BCHW -> [(B, outputs, H / 8, W / 8), (.. / 16), (.. / 32)] for a body that halves five times.
    """

    def __init__(self, stages: nn.ModuleDict, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.stages = stages
        self.necks, self.outs, self.routes = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        told = 0
        for width in reversed(widths):  # coarse to fine
            half = width // 2
            self.necks.append(_neck(width + told, half))
            self.outs.append(nn.Sequential(_conv(half, width, 3), nn.Conv2d(width, outputs, 1)))
            told = half // 2
            if len(self.outs) < len(widths):
                self.routes.append(_conv(half, told, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x_BCHW -> raw maps, fine to coarse."""
        seen = []
        for stage in self.stages.values():
            x = stage(x)
            seen.append(x)
        raw: list[Tensor] = []
        told = None
        for k, (neck, out) in enumerate(zip(self.necks, self.outs, strict=True)):
            here = seen[-1 - k]
            if told is not None:
                up = F.interpolate(told, size=here.shape[-2:], mode="nearest")
                here = torch.cat([up, here], 1)
            here = neck(here)
            raw.insert(0, out(here))
            told = self.routes[k](here) if k < len(self.routes) else None
        return raw


def _neck(cin: int, half: int) -> nn.Sequential:
    """Five convolutions, 1x1 and 3x3 in turn."""
    layers, width = [], cin
    for i in range(5):
        cout = half if i % 2 == 0 else 2 * half
        layers.append(_conv(width, cout, 1 if i % 2 == 0 else 3))
        width = cout
    return nn.Sequential(*layers)


def _conv(cin: int, cout: int, size: int) -> nn.Sequential:
    return conv_bn(cin, cout, size, act=partial(nn.LeakyReLU, 0.1, inplace=True))
