"""Gaussian noise on the pixels, a regulariser of the oldest kind (notes 003 004)."""

from dataclasses import replace

import torch
from torch import Generator

from ..sample import Batch
from ._base import Augment, keep_type, reach

SHARE = 0.05  # standard deviation over the range of the pixels


class Noise(Augment):
    """Each pixel of each sample gets a normal draw of its own."""

    name = "noise"
    about = "Gaussian noise, a twentieth of the range"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; deviation 12.75 for uint8, for floats 0.05 of the sample's range."""
        draws = torch.randn(batch.x.shape, generator=generator).to(batch.x.device)
        x = batch.x.float() + draws * (SHARE * reach(batch.x))
        return replace(batch, x=keep_type(x, batch.x))


AUGMENTS = {"noise": Noise()}
