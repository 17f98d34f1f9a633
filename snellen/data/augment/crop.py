"""Pad by an eighth (4 of 32 pixels) with black and cut the old size out anywhere (note 004)."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment
from ._cut import cut, shifts
from ._follow import follow


class Crop(Augment):
    """Each sample is shifted by whole pixels, uniformly; one gather moves the whole batch."""

    name = "crop"
    about = "shift by whole pixels, an eighth of the picture at most"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, pixels unchanged but for their place."""
        size = (batch.x.shape[-2], batch.x.shape[-1])
        right_B, down_B = draw_shifts(len(batch), size, generator)
        down, right = _most(size)
        padded = F.pad(batch.x, (right, right, down, down))
        moved = cut(padded, down - down_B, right - right_B, size=size)
        return follow(batch, moved, shifts(right_B, down_B))


def draw_shifts(count: int, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
    """Number, (H, W) -> whole pixels to the right and down, for each sample.

    >>> right_B, down_B = draw_shifts(1000, (32, 16), torch.Generator().manual_seed(0))
    >>> int(right_B.min()), int(right_B.max()), int(down_B.min()), int(down_B.max())
    (-2, 2, -4, 4)
    """
    down, right = _most(size)
    top_B = torch.randint(2 * down + 1, (count,), generator=generator)
    left_B = torch.randint(2 * right + 1, (count,), generator=generator)
    return right - left_B, down - top_B


def _most(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) -> the furthest shift down and to the right."""
    return max(1, round(size[0] / 8)), max(1, round(size[1] / 8))


PARTS = {
    "Random crop of a padded picture": Part(
        "Augmentations",
        "sn.data.augment.crop.Crop",
        "augment=crop: a shift by whole pixels; the size stays",
        "001 003 004",
    ),
}
AUGMENTS = {"crop": Crop()}
