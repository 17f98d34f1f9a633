"""Gaussian noise on the pixels, a regulariser of the oldest kind (notes 003 004)."""

from dataclasses import replace

import torch
from torch import Generator, Tensor, device

from ...core.numbers import check_finite, check_rates
from ...core.parts import Part
from ..sample import Batch
from ._base import Augment, keep_type, reach

SHARE = 0.05  # standard deviation over the range of the pixels


class Noise(Augment):
    """Each pixel of each sample gets a normal draw of its own.

    `mean` and `std` are shares of the range of the pixels: 255 for uint8, a sample's own for
    floats. Raises UsageError for a deviation below 0, and where either is no finite number.

    >>> x = torch.full((1, 1, 64, 64), 100, dtype=torch.uint8)
    >>> batch = Batch(x, {}, torch.tensor([0]), torch.tensor([[64, 64]]))
    >>> noisy = Noise(0.1, mean=0.2)(batch, Generator().manual_seed(0)).x.float()
    >>> round(float(noisy.mean() - 100)), round(float(noisy.std()))
    (51, 25)
    """

    name = "noise"

    def __init__(self, std: float = SHARE, *, mean: float = 0.0) -> None:
        check_rates(std=std)
        check_finite(mean=mean)
        self.std, self.mean = std, mean
        self.about = "Gaussian noise, a twentieth of the range"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; deviation 12.75 for uint8, for floats 0.05 of the sample's range."""
        draws = normal(batch.x.shape, generator, batch.x.device)
        extent = reach(batch.x)
        x = batch.x.float() + draws * (self.std * extent)
        if self.mean:
            x = x + self.mean * extent
        return replace(batch, x=keep_type(x, batch.x))


def normal(shape: torch.Size, generator: Generator, where: device) -> Tensor:
    """Normal draws of a shape, made where they are wanted: to copy as many as pixels is slow.

    On another device than the generator's one seed of it begins a generator there.
    """
    if where.type not in (generator.device.type, "meta"):  # which has no generator
        seed = int(torch.randint(2**62, (), generator=generator))
        generator = Generator(where).manual_seed(seed)
    return torch.randn(shape, generator=generator, device=where)


PARTS = {
    "Gaussian noise": Part(
        "Augmentations",
        "sn.data.augment.noise.Noise",
        "augment=noise: mean and deviation as shares of the pixels' range",
        "003 004",
    ),
    "Augmentation and input noise": Part(
        "Regularisers",
        "sn.data.augment.compose, sn.data.augment.noise.Noise",
        "more data than there are: the gap between training and validation shrinks; `augment=`",
        "001 003 004",
    ),
}
AUGMENTS = {"noise": Noise()}
