"""Mirror images: left and right for photos, up and down for what has no up (notes 001 003 004)."""

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, beside
from ._follow import follow


class Flip(Augment):
    """Each sample is mirrored with probability one half."""

    def __init__(self, name: str, axis: int, about: str) -> None:
        self.name, self.axis, self.about = name, axis, about

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW, pixels unchanged but for their place."""
        turned_B = draw_turned(len(batch), generator)
        x = batch.x
        mask = beside(turned_B, x).view(-1, 1, 1, 1)
        moved = torch.where(mask, x.flip(self.axis), x)
        return follow(batch, moved, mirrors(turned_B, self.axis, x.shape[self.axis]))


def draw_turned(count: int, generator: Generator) -> Tensor:
    """Number -> turned_B, which samples are mirrored.

    >>> draw_turned(4, torch.Generator()).dtype
    torch.bool
    """
    return torch.rand(count, generator=generator) < 0.5


def mirrors(turned_B: Tensor, axis: int, length: int) -> Tensor:
    """Who is mirrored, along which axis of x_BCHW, of how many pixels -> matrix_B23.

    >>> mirrors(torch.tensor([True]), -1, 8).tolist()
    [[[-1.0, 0.0, 8.0], [0.0, 1.0, 0.0]]]
    """
    matrix_B23 = torch.eye(2, 3).repeat(len(turned_B), 1, 1)
    row = 0 if axis == -1 else 1
    matrix_B23[turned_B, row, row] = -1.0
    matrix_B23[turned_B, row, 2] = float(length)
    return matrix_B23


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
