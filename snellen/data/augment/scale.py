"""Scaling about the middle, and windows of any size brought to the old one (notes 003 004)."""

import math

import torch
from torch import Generator

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment
from ._follow import follow
from ._geometry import resample
from .rotate import about_middle

LARGEST = 1.5  # and its inverse is the smallest
AREA, ASPECT = (0.35, 1.0), 4 / 3  # of the window over the picture's; width over height


class Scale(Augment):
    """Each sample grows or shrinks about its middle; as often by s as by 1 / s. Black comes in."""

    name = "scale"
    about = "grow or shrink about the middle, by half at most"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, bilinear."""
        share_B = torch.rand(len(batch), generator=generator) * 2 - 1
        factor_B = (share_B * math.log(LARGEST)).exp()
        linear_B22 = factor_B[:, None, None] * torch.eye(2)
        matrix_B23 = about_middle(linear_B22, batch.x.shape[-2:])
        return follow(batch, resample(batch.x, matrix_B23), matrix_B23)


class Zoom(Augment):
    """GoogLeNet's random resized crop: a window of 35 to 100 % of the area and of aspect 3/4 to
    4/3, anywhere inside, is stretched to the picture's size. Nothing black comes in.
    """

    name = "zoom"
    about = "a window of a third of the area or more, stretched to the old size (GoogLeNet)"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, bilinear."""
        draws = torch.rand(4, len(batch), generator=generator)
        area_B = AREA[0] + (AREA[1] - AREA[0]) * draws[0]
        aspect_B = ((draws[1] * 2 - 1) * math.log(ASPECT)).exp()
        height, width = batch.x.shape[-2:]
        share_B2 = torch.stack([area_B * aspect_B, area_B / aspect_B], 1).sqrt().clamp(max=1)
        corner_B2 = draws[2:].T * (1 - share_B2) * torch.tensor([width, height])
        linear_B22 = torch.diag_embed(1 / share_B2)
        matrix_B23 = torch.cat([linear_B22, -(linear_B22 @ corner_B2[:, :, None])], 2)
        moved = resample(batch.x, matrix_B23, repeats_edge=True)
        return follow(batch, moved, matrix_B23)


PARTS = {
    "Scaling": Part(
        "Augmentations",
        "sn.data.augment.scale.Scale",
        "augment=scale: about the middle",
        "003 004",
    ),
    "Random resized crop": Part(
        "Augmentations",
        "sn.data.augment.scale.Zoom",
        "augment=zoom: a window stretched to the old size (GoogLeNet)",
        "003",
    ),
}
AUGMENTS = {"scale": Scale(), "zoom": Zoom()}
