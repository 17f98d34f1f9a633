"""Random erasing (Zhong et al. 2017) and cutout (DeVries and Taylor 2017): a part goes missing.

The sides and the filling are Snellen's own. Erasing draws an area of 0.02 to 0.4 of the picture and
an aspect of 0.3 to 1/0.3, and fills with random values (or the data set's mean); cutout always cuts
one square, half as long as a CIFAR-10 picture, and fills with 0, the mean after normalising. Here
each side is drawn by itself, 0.2 to 0.5 of the picture's: 0.04 to 0.25 of its area. The fill is the
picture's own mean, which needs no statistics and leaves no colour that the picture lacks.
"""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, beside

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
        mask = beside((rows_BH[:, :, None] & cols_BW[:, None, :] & chosen)[:, None], x)
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
