"""Mirror images: left and right for photos, up and down for what has no up (notes 001 003 004)."""

import torch
from torch import Generator

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment
from ._follow import follow


class Flip(Augment):
    """Each sample is mirrored with probability one half."""

    def __init__(self, name: str, axis: int, about: str) -> None:
        self.name, self.axis, self.about = name, axis, about

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, pixels unchanged but for their place."""
        turned_B = torch.rand(len(batch), generator=generator) < 0.5
        x = batch.x
        mask = turned_B.to(x.device).view(-1, 1, 1, 1)
        matrix_B23 = torch.eye(2, 3).repeat(len(batch), 1, 1)
        row = 0 if self.axis == -1 else 1
        matrix_B23[turned_B, row, row] = -1.0
        matrix_B23[turned_B, row, 2] = float(x.shape[self.axis])
        return follow(batch, torch.where(mask, x.flip(self.axis), x), matrix_B23)


PARTS = {
    "Horizontal mirror, vertical flip": Part(
        "Augmentations",
        "sn.data.augment.flip.Flip",
        "augment=flip, vflip: every second picture; left and right key points change places",
        "001 003 004",
    ),
}
AUGMENTS = {
    "flip": Flip("flip", -1, "mirror left and right, every second time"),
    "vflip": Flip("vflip", -2, "mirror up and down, every second time"),
}
