"""Light that falls unevenly: a slow wave is added, as lamps and lenses add it."""

from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, beside, keep_type

KNOTS, STRONGEST = 3, 2.0  # brightnesses along a side that are drawn; in deviations of the picture


class Shade(Augment):
    """Each sample gets light here and shadow there on all channels alike, none on the whole; from
    the darkest to the brightest at most about two deviations of its pixels.

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
        x = batch.x.float()
        light = beside(knots * strength, x) * x.std((1, 2, 3), keepdim=True, correction=0)
        wave = F.interpolate(light, x.shape[-2:], mode="bicubic", align_corners=True)
        wave -= wave.mean((1, 2, 3), keepdim=True)  # no brighter on the whole than at validation
        return replace(batch, x=keep_type(x + wave * _lit(batch.x), batch.x))


def _lit(x_BCHW: Tensor) -> Tensor:
    """Where there is a picture, (B, 1, H, W): rows and columns of one colour pad it."""
    down_B1H1 = (x_BCHW != x_BCHW[..., :1]).any(3, keepdim=True).any(1, keepdim=True)
    right_B11W = (x_BCHW != x_BCHW[..., :1, :]).any(2, keepdim=True).any(1, keepdim=True)
    return down_B1H1 & right_B11W


PARTS = {
    "Uneven light": Part(
        "Augmentations",
        "sn.data.augment.shade.Shade",
        "augment=shade: a slow wave of light over the picture",
    ),
}
AUGMENTS = {"shade": Shade()}
