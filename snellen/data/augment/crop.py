"""Pad by an eighth (4 of 32 pixels) with black and cut the old size out anywhere (note 004)."""

import torch
from torch import Generator
from torch.nn import functional as F

from ..sample import Batch
from ._base import Augment
from ._geometry import follow


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
        windows = F.pad(x, (right, right, down, down)).unfold(2, height, 1).unfold(3, width, 1)
        rows = torch.arange(len(x), device=x.device)
        cut = windows[rows, :, top_B.to(x.device), left_B.to(x.device)]
        matrix_B23 = torch.eye(2, 3).repeat(len(x), 1, 1)
        matrix_B23[:, 0, 2] = (right - left_B).float()
        matrix_B23[:, 1, 2] = (down - top_B).float()
        return follow(batch, cut, matrix_B23)


AUGMENTS = {"crop": Crop()}
