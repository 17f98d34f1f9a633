"""Rotation by quarter turns, pixel for pixel, or by any small angle (note 004)."""

import math

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, beside
from ._follow import follow
from ._geometry import resample, sample_nearest

DEGREES = 30.0  # to either side


class QuarterTurns(Augment):
    """Each sample is turned by 0, 90, 180 or 270 degrees, for what has no up (cells, the earth).

    Pictures that are not square are turned by 0 or 180 degrees, since a batch has one size.
    """

    name = "rot90"
    about = "turn by quarters, for what has no up; by halves where pictures are not square"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, pixels unchanged but for their place."""
        height, width = batch.x.shape[-2:]
        turns_B = torch.randint(4, (len(batch),), generator=generator)
        if height != width:
            turns_B = turns_B // 2 * 2
        return turn(batch, turns_B)


class Rotate(Augment):
    """Each sample is turned about its middle by a uniform draw of degrees; black comes in."""

    name = "rotate"
    about = "turn by up to 30 degrees to either side"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, bilinear."""
        share_B = torch.rand(len(batch), generator=generator) * 2 - 1
        angle_B = share_B * math.radians(DEGREES)
        matrix_B23 = about_middle(_turned(angle_B.cos(), angle_B.sin()), batch.x.shape[-2:])
        return follow(batch, resample(batch.x, matrix_B23), matrix_B23)


def turn(batch: Batch, turns_B: Tensor) -> Batch:
    """A batch, quarter turns against the clock -> the turned batch, as torch.rot90 turns; where
    pictures are not square only even numbers of turns keep their size.

    >>> x = torch.tensor([[[[1, 2], [3, 4]]]])
    >>> batch = Batch(x, {}, torch.tensor([0]), torch.tensor([[2, 2]]))
    >>> turn(batch, torch.tensor([1])).x[0, 0].tolist()
    [[2, 4], [1, 3]]
    """
    size = (batch.x.shape[-2], batch.x.shape[-1])
    cos_B, sin_B = (torch.tensor(v)[turns_B % 4] for v in ([1.0, 0, -1, 0], [0.0, 1, 0, -1]))
    matrix_B23 = about_middle(_turned(cos_B, -sin_B), size)
    return follow(batch, sample_nearest(batch.x, beside(matrix_B23, batch.x), size), matrix_B23)


def about_middle(linear_B22: Tensor, size: tuple[int, ...]) -> Tensor:
    """linear_B22, (H, W) -> matrix_B23 that leaves the middle of the picture where it is.

    >>> about_middle(-torch.eye(2)[None], (4, 6)).tolist()
    [[[-1.0, 0.0, 6.0], [0.0, -1.0, 4.0]]]
    """
    middle_2 = torch.tensor([size[1], size[0]], dtype=torch.float32) / 2
    return torch.cat([linear_B22, (middle_2 - linear_B22 @ middle_2)[:, :, None]], 2) + 0.0


def _turned(cos_B: Tensor, sin_B: Tensor) -> Tensor:
    return torch.stack([cos_B, -sin_B, sin_B, cos_B], 1).view(-1, 2, 2)


PARTS = {
    "Rotation": Part(
        "Augmentations",
        "sn.data.augment.rotate.Rotate, sn.data.augment.rotate.QuarterTurns",
        "augment=rotate, rot90: by any small angle; by quarters, pixel for pixel",
        "004",
    ),
}
AUGMENTS = {"rot90": QuarterTurns(), "rotate": Rotate()}
