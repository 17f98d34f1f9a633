"""Small rotation, scaling, shear and shift at once, one bilinear pass over the batch (note 004)."""

import math

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment
from ._follow import follow
from ._geometry import resample

DEGREES, SCALE, SHEAR, SHIFT = 10.0, 0.1, 0.1, 0.1  # greatest change to either side


class Affine(Augment):
    """Each sample is turned, scaled, sheared and shifted by uniform draws; black comes in."""

    name = "affine"
    about = "turn by 10 degrees, scale, shear and shift by a tenth at most"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, bilinear."""
        matrix_B23 = draw_matrices(len(batch), batch.x.shape[-2:], generator)
        return follow(batch, resample(batch.x, matrix_B23), matrix_B23)


def draw_matrices(count: int, size: tuple[int, ...], generator: Generator) -> Tensor:
    """Number, (H, W) -> matrix_B23 of old to new pixels about the middle of the picture.

    >>> draw_matrices(4, (28, 28), torch.Generator().manual_seed(0)).shape
    torch.Size([4, 2, 3])
    """
    angle, scale, shear, right, down = torch.rand(5, count, generator=generator) * 2 - 1
    angle, scale = angle * math.radians(DEGREES), 1 + scale * SCALE
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shear = shear * SHEAR
    linear = torch.stack([cos, cos * shear - sin, sin, sin * shear + cos], 1).view(-1, 2, 2)
    extent = torch.tensor([size[1], size[0]], dtype=torch.float32)
    middle = extent / 2
    shift = torch.stack([right, down], 1) * SHIFT * extent
    return torch.cat([linear, (middle + shift - linear @ middle)[:, :, None]], 2)


PARTS = {
    "Affine augmentation": Part(
        "Augmentations",
        "sn.data.augment.affine.Affine",
        "augment=affine: rotation, scale, shear and shift in one bilinear pass",
        "004",
    ),
}
AUGMENTS = {"affine": Affine()}
