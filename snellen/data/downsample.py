"""Making pictures smaller: what is finer than the new pixels must go, or it comes back as patterns
that were never there (aliasing; notes 001 004).

A zone plate shows it: rings that become ever finer outwards. Where they are too fine for the new
pixels the right answer is even gray.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part

How = Literal["nearest", "bilinear", "antialias", "area"]
HOWS: tuple[str, ...] = get_args(How)

PARTS = {
    "Resize, down-sampling": Part(
        "Preprocessing",
        "sn.data.inputs.resize, sn.data.downsample.downsample",
        "anti-aliased where data are read; `zone_plate` and `false_pattern` show why",
        "001 004",
    ),
    "Zone plate": Part(
        "Preprocessing",
        "sn.data.downsample.zone_plate, sn.data.downsample.false_pattern",
        "rings of all frequencies: measures what down-sampling invents",
        "001 004",
    ),
}


def downsample(x_BCHW: Tensor, factor: int, how: How = "antialias") -> Tensor:
    """x_BCHW, a whole number -> (B, C, H // factor, W // factor).

    "nearest" takes one pixel of each block, "bilinear" mixes four next to its middle (both alias),
    "antialias" weighs all by a triangle of twice the block's width, "area" takes their mean. Raises
    UsageError for another word, and a factor that is not a whole number that fits.

    >>> x = torch.tensor([[0.0, 4.0], [8.0, 12.0]]).view(1, 1, 2, 2)
    >>> downsample(x, 2, "nearest").item(), downsample(x, 2, "area").item()
    (0.0, 6.0)
    """
    if how not in HOWS:
        raise UsageError(f"how={how!r} is not one of {', '.join(HOWS)}")
    if not 1 <= factor <= min(x_BCHW.shape[-2:]) or factor != int(factor):
        raise UsageError(
            f"factor {factor} of pictures of {x_BCHW.shape[-2]}x{x_BCHW.shape[-1]}; a whole "
            "number from 1 to the shorter side is wanted"
        )
    size = (x_BCHW.shape[-2] // factor, x_BCHW.shape[-1] // factor)
    if how in ("nearest", "area"):
        return F.interpolate(x_BCHW, size, mode=how)
    smooth = how == "antialias"
    return F.interpolate(x_BCHW, size, mode="bilinear", align_corners=False, antialias=smooth)


def zone_plate(side: int) -> Tensor:
    """Pixels a side -> x_11HW in 0..1: (1 + cos(pi r^2 / side)) / 2, r from the middle.

    At distance r the rings have r / side periods a pixel, so 1/2, the finest that pixels can show,
    at the middles of the edges.

    >>> plate = zone_plate(65)
    >>> plate.shape, plate[0, 0, 32, 32].item()
    (torch.Size([1, 1, 65, 65]), 1.0)
    """
    line = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    square_HW = line.square()[:, None] + line.square()
    return ((1 + torch.cos(torch.pi * square_HW / side)) / 2).float()[None, None]


def false_pattern(side: int, factor: int, how: How = "antialias") -> float:
    """How strong the rings are that a smaller zone plate shows where there should be none: the
    deviation where the rings are finer than the new pixels, over that of the plate itself.

    0 is right; 1 says that all that could not be shown came back as something else.

    >>> false_pattern(256, 4, "nearest") > 10 * false_pattern(256, 4, "antialias")
    True
    """
    plate = zone_plate(side)
    small_HW = downsample(plate, factor, how)[0, 0]
    line = (torch.arange(len(small_HW)) + 0.5) * factor - side / 2
    distance_HW = (line.square()[:, None] + line.square()).sqrt()
    too_fine = (distance_HW / side > 0.75 / factor) & (distance_HW < side / 2)
    return float((small_HW[too_fine] - 0.5).square().mean().sqrt() / plate.std())
