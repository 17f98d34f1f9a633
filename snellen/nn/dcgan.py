"""DCGAN (notes 003; Radford, Metz and Chintala, arXiv:1511.06434): a GAN of strided convolutions.

z -> 4x4 -> ... each layer twice the side and half the maps -> picture in -1..1 (tanh), and back to
one logit. Batch norm but at the pictures, ReLU in the generator, leaky ReLU (0.2) in the
discriminator, weights from N(0, 0.02^2); the paper trains both with Adam, lr 0.0002, beta1 0.5.
"""

import itertools

from torch import nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

PARTS = {
    "DCGAN": Part(
        "Generative models", "sn.nn.dcgan_generator, sn.nn.dcgan_discriminator",
        "strided convolutions and batch norm on both sides; lr 0.0002, beta1 0.5", "003",
    ),
}  # fmt: skip


def dcgan_generator(
    latent: int = 100, channels: int = 3, *, size: int = 64, width: int = 64
) -> nn.Sequential:
    """-> network z_BD -> x_BCHW in -1..1; `width` maps before the last layer, twice more each back.

    Raises UsageError for a size that is not 8, 16, 32 ...

    >>> import torch
    >>> dcgan_generator(10, 1, size=8, width=4)(torch.zeros(2, 10)).shape
    torch.Size([2, 1, 8, 8])
    """
    check_counts(latent=latent, channels=channels)
    widths = _widths(size, width)[::-1]
    layers = [nn.Unflatten(1, (latent, 1, 1)),
              nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]  # fmt: skip
    for inputs, outputs in itertools.pairwise([*widths, channels]):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(),
                   nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]  # fmt: skip
    return nn.Sequential(*layers, nn.Tanh()).apply(_initialise)


def dcgan_discriminator(channels: int = 3, *, size: int = 64, width: int = 64) -> nn.Sequential:
    """-> network x_BCHW -> logit_B, above 0 where it takes the picture for a real one.

    Raises UsageError for a size that is not 8, 16, 32 ...

    >>> import torch
    >>> dcgan_discriminator(1, size=8, width=4)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2])
    """
    check_counts(channels=channels)
    widths = _widths(size, width)
    layers = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs),
                   nn.LeakyReLU(0.2)]  # fmt: skip
    last = nn.Conv2d(widths[-1], 1, 4, bias=False)
    return nn.Sequential(*layers, last, nn.Flatten(0)).apply(_initialise)


def _widths(size: int, width: int) -> list[int]:
    """Maps at size / 2, size / 4 ... 4."""
    check_counts(size=size, width=width)
    if size < 8 or size & (size - 1):
        raise UsageError(f"pictures of {size} pixels; a power of two from 8 up is wanted")
    return [width * 2**i for i in range(size.bit_length() - 3)]


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
