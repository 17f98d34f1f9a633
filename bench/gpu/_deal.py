"""A training part that lies on the device, normalised and padded once; an epoch is a few calls.

Every picture is shifted by up to two pixels, all of an epoch in one gather. Mirrored is every
second one, and in the next epoch the others: two epochs show each picture both ways
(arXiv:2404.00498).
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from snellen.data.augment._cut import cut
from snellen.data.augment.views import five_crops

REACH = 2  # pixels that a picture is shifted at most


class Deal:
    """x_NCHW normalised, label_N -> epochs of (x_BCHW, label_B), all of them of `batch` pictures.

    What is left over at the end of an epoch is left out: a compiled network wants one shape.
    """

    def __init__(self, x_NCHW: Tensor, label_N: Tensor, batch: int, seed: int) -> None:
        self.padded, self.label_N, self.batch = (
            F.pad(x_NCHW, (REACH,) * 4, "reflect"),
            label_N,
            batch,
        )
        self.size = tuple(x_NCHW.shape[-2:])
        self.steps = len(label_N) // batch
        self.generator = torch.Generator(x_NCHW.device).manual_seed(seed)
        self.mirrored_N = self._draw(2).bool()

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch."""
        device = self.label_N.device
        order_N = torch.randperm(len(self.label_N), device=device, generator=self.generator)
        top_N, left_N = (self._draw(2 * REACH + 1) for _ in range(2))
        x = cut(self.padded[order_N], top_N, left_N, size=self.size)
        mirrored_N = self.mirrored_N[order_N] ^ bool(number % 2)
        x = torch.where(mirrored_N.view(-1, 1, 1, 1), x.flip(-1), x)
        x = x.contiguous(memory_format=torch.channels_last)
        label_N = self.label_N[order_N]
        for low in range(0, self.steps * self.batch, self.batch):
            yield x[low : low + self.batch], label_N[low : low + self.batch]

    def _draw(self, below: int) -> Tensor:
        shape, device = (len(self.label_N),), self.label_N.device
        return torch.randint(below, shape, device=device, generator=self.generator)


def six_views(x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> x_B6CHW: as it is, shifted by a pixel to two corners, and all three mirrored."""
    size = tuple(x_BCHW.shape[-2:])
    crops_B5CHW = five_crops(F.pad(x_BCHW, (1,) * 4, "reflect"), size)
    three = crops_B5CHW[:, [4, 0, 3]]  # the middle, upper left, lower right
    return torch.cat([three, three.flip(-1)], 1)
