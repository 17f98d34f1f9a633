"""Pad by an eighth (4 of 32 pixels) with black and cut the old size out anywhere (note 004)."""

import torch
from torch import Generator
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
        x = batch.x
        height, width = x.shape[-2:]
        down, right = (max(1, round(n / 8)) for n in (height, width))
        top_B = torch.randint(2 * down + 1, (len(x),), generator=generator)
        left_B = torch.randint(2 * right + 1, (len(x),), generator=generator)
        moved = cut(F.pad(x, (right, right, down, down)), top_B, left_B, size=(height, width))
        return follow(batch, moved, shifts(right - left_B, down - top_B))


PARTS = {
    "Random crop of a padded picture": Part(
        "Augmentations",
        "sn.data.augment.crop.Crop",
        "augment=crop: a shift by whole pixels; the size stays",
        "001 003 004",
    ),
}
AUGMENTS = {"crop": Crop()}
