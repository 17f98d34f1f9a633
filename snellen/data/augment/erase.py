"""Random erasing (Zhong et al. 2017) and cutout (DeVries and Taylor 2017): a part goes missing."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment

PROBABILITY, SMALLEST, LARGEST = 0.5, 0.2, 0.5  # sides over the picture's


class Erase(Augment):
    """Every second sample loses a rectangle to the picture's mean; the truth does not change."""

    name = "erase"
    about = "a rectangle of up to half the sides becomes the mean, every second time"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW."""
        x = batch.x
        draws = torch.rand(5, len(x), generator=generator)
        rows_BH = _stretch(draws[0], draws[1], x.shape[-2])
        cols_BW = _stretch(draws[2], draws[3], x.shape[-1])
        chosen = (draws[4] < PROBABILITY)[:, None, None]
        mask = (rows_BH[:, :, None] & cols_BW[:, None, :] & chosen)[:, None].to(x.device)
        mean = x.float().mean((2, 3), keepdim=True).to(x.dtype)
        return replace(batch, x=torch.where(mask, mean, x))


def _stretch(size_B: Tensor, place_B: Tensor, length: int) -> Tensor:
    """Draws in 0..1 -> inside_BL: a stretch of some pixels, anywhere that it fits."""
    width = (length * (SMALLEST + (LARGEST - SMALLEST) * size_B)).round().clamp(min=1)
    start = (place_B * (length - width + 1)).floor()
    steps = torch.arange(length)
    return (steps >= start[:, None]) & (steps < (start + width)[:, None])


PARTS = {
    "Random erasing, cutout": Part(
        "Augmentations",
        "sn.data.augment.erase.Erase",
        "augment=erase: a rectangle becomes the mean",
    ),
}
AUGMENTS = {"erase": Erase()}
