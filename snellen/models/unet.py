"""U-Net, arXiv:1505.04597 figure 1: down to coarse maps, up again, each joined to its equal.

x_BCHW -> levels H, H/2 ... H/16 -> up, each beside the map of the way down -> logits_BKHW
Any size: a map of odd size is pooled as if padded, and what comes up from it is cropped. The paper
pads nothing, so its answer is smaller than its picture; here both are of one size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..nn._padding import Placed
from ..nn.local_contrast import LocalContrast
from ..nn.upsample import crop
from ._columns import Count
from ._network import Network
from ._parts import conv_bn, conv_relu, he_init
from ._row import Row

Up = Literal["transposed", "nearest", "bilinear"]
EPS = 1e-5  # of a picture's variance: one of a single colour stays 0


@dataclass(frozen=True)
class Unet(Row):
    """`widths` of the levels, fine to coarse; `depth` convolutions a level on either way.

    `level` takes each picture's own mean and spread off it, so that a darker picture of the same
    things looks the same, and lays its local contrast beside it: uneven light is no thing. `up`
    "transposed" is a 2x2 convolution of stride 2 to the finer level's width; the others repeat or
    interpolate. `stem` "halving" begins at half the size and doubles the logits at the end.
    """

    widths: tuple[Count, ...] = (64, 128, 256, 512, 1024)
    depth: Count = 2
    up: Up = "transposed"
    norm: bool = False
    level: bool = False
    stem: Literal["paper", "halving"] = "paper"
    family = "Detection/segmentation"
    paper = "arXiv:1505.04597"
    task = "segment"
    input = (1, 572, 572)
    classes = 2
    thin = {"widths": (4, 6, 8), "depth": 1}

    def build(self, classes: int, channels: int) -> Network:
        """x_BCHW -> logits_BKHW."""
        stages: dict[str, nn.Module] = {"image": Level() if self.level else nn.Identity()}
        cin = 2 * channels if self.level else channels
        for i, width in enumerate(self.widths):
            pool = [nn.MaxPool2d(2, ceil_mode=True)] if i else []
            stride = 2 if i == 0 and self.stem == "halving" else 1
            stages[f"level{i + 1}"] = nn.Sequential(*pool, *self.convs(cin, width, stride))
            cin = width
        return he_init(Network(stages, Upward(self, classes), channels, taps=tuple(stages)))

    def convs(self, cin: int, width: int, stride: int = 1) -> list[nn.Module]:
        """The convolutions of a level."""
        make = conv_bn if self.norm else conv_relu
        first = make(cin, width, 3, stride)
        return [first, *(make(width, width, 3) for _ in range(self.depth - 1))]


class Level(nn.Module):
    """x_BCHW -> (B, 2C, H, W): the picture less its mean over its spread, and local contrast.

    What pads a picture of another shape than the input is 0, as no pixel of it is, before and
    after, and nothing to both; unless `padded` is no, where 0 may be a picture's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.local, self.padded = LocalContrast(), True

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> (B, 2C, H, W)."""
        placed = Placed.of(x_BCHW) if self.padded else Placed.whole(x_BCHW)
        mean, spread = placed.moments(x_BCHW)
        level = (x_BCHW - mean) * torch.rsqrt(spread + EPS)
        return torch.cat([level, self.local(level, placed)], 1) * placed.inside(x_BCHW)


class Upward(nn.Module):
    """The picture and the levels' maps, fine to coarse -> logits_BKHW of the picture's size."""

    def __init__(self, row: Unet, classes: int) -> None:
        super().__init__()
        self.ups, self.levels = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in reversed(list(zip(row.widths, row.widths[1:], strict=False))):
            up, width = _up(row.up, coarse, fine)
            self.ups.append(up)
            self.levels.append(nn.Sequential(*row.convs(width + fine, fine)))
        self.fc = nn.Conv2d(row.widths[0], classes, 1)
        halved = row.stem == "halving"
        self.last = nn.Upsample(scale_factor=2, mode="bilinear") if halved else nn.Identity()

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """[x_BCHW, maps ...] -> logits_BKHW."""
        picture, *maps = seen
        x = maps.pop()
        for up, level in zip(self.ups, self.levels, strict=True):
            beside = maps.pop()
            x = level(torch.cat([crop(up(x), _size(beside)), beside], 1))
        return crop(self.last(self.fc(x)), _size(picture))


def _up(kind: Up, coarse: int, fine: int) -> tuple[nn.Module, int]:
    """What doubles a map, and how many channels come of it."""
    if kind == "transposed":
        return nn.ConvTranspose2d(coarse, fine, 2, 2), fine
    return nn.Upsample(scale_factor=2, mode=kind), coarse


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


TABLE = {  #           parameters  multiply-adds
    "paper:unet": Unet(31_030_658, 241_207_323_648),
    "unet-small": Unet(
        527_463, 145_907_712, (32, 64, 96, 128), 1, norm=True, level=True,
        stem="halving", input=(3, 96, 96), classes=7,
    ),
}  # fmt: skip
