"""Light that falls unevenly: a slow wave is added, as lamps and lenses add it."""

from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ...core.parts import Part
from ..extent import inside
from ..sample import Batch
from ._base import Augment, beside, keep_type

KNOTS, STRONGEST = 3, 2.0  # brightnesses along a side that are drawn; in deviations of the picture


class Shade(Augment):
    """Each sample gets light here and shadow there on all channels alike, none on the whole; from
    the darkest to the brightest at most about two deviations of its pixels. What pads it stays.

    What is bright by its place alone is no thing: a network that sets one threshold for a picture
    loses by it.
    """

    name = "shade"
    about = "add a slow wave of light, of about two deviations of the picture at most"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; draws 3 x 3 brightnesses and a strength for each sample."""
        knots = torch.rand(len(batch), 1, KNOTS, KNOTS, generator=generator)
        strength = torch.rand(len(batch), 1, 1, 1, generator=generator) * STRONGEST
        if not len(batch):
            return batch  # a deviation of nothing is undefined
        x, inside_B1HW = batch.x.float(), inside(batch)
        deviation = _mean((x - _mean(x, inside_B1HW)).square(), inside_B1HW).sqrt()
        light = beside(knots * strength, x) * deviation
        wave = F.interpolate(light, x.shape[-2:], mode="bicubic", align_corners=True)
        wave -= _mean(wave, inside_B1HW)  # no brighter on the whole than at validation
        return replace(batch, x=keep_type(x + wave * inside_B1HW, batch.x))


def _mean(x_BCHW: Tensor, inside_B1HW: Tensor) -> Tensor:
    """The mean over the pixels of each picture and over channels, (B, 1, 1, 1)."""
    total = torch.where(inside_B1HW, x_BCHW, 0).mean((1, 2, 3), keepdim=True)
    share = inside_B1HW.float().mean((1, 2, 3), keepdim=True)
    return total / share.clamp(min=1e-9)  # of none: augmentation may move it out


PARTS = {
    "Uneven light": Part(
        "Augmentations",
        "sn.data.augment.shade.Shade",
        "augment=shade: a slow wave of light over the picture",
    ),
}
AUGMENTS = {"shade": Shade()}
