"""Brightness, contrast and saturation shifted a little (note 004, AlexNet's colour shift)."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from ..sample import Batch
from ._base import Augment, keep_type

BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.2  # greatest change to either side


class Jitter(Augment):
    """Each sample: distance from its gray times s, from its mean times c, all times b."""

    name = "jitter"
    about = "brightness, contrast and saturation, a fifth to either side"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; draws s, c, b in 0.8 .. 1.2, one of each a sample."""
        draws = torch.rand(3, len(batch), 1, 1, 1, generator=generator).to(batch.x.device) * 2 - 1
        brightness, contrast = 1 + draws[0] * BRIGHTNESS, 1 + draws[1] * CONTRAST
        x = batch.x.float()
        if x.shape[1] == 3:
            gray = x.mean(1, keepdim=True)
            x = gray + (x - gray) * (1 + draws[2] * SATURATION)
        middle = x.mean((1, 2, 3), keepdim=True)
        x = (x - middle) * (contrast * brightness) + middle * brightness
        return replace(batch, x=keep_type(x, batch.x))


class Lighting(Augment):
    """AlexNet's: along each principal direction of the colours, a normal draw times 0.1."""

    name = "lighting"
    about = "shift along the principal colours of the batch (AlexNet)"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; the shifts' covariance is 0.01 times that of the batch's pixels."""
        x = batch.x.float()
        draws = torch.randn(len(x), x.shape[1], generator=generator).to(x.device)
        shift_BC = draws @ (0.1 * root_covariance(x))
        return replace(batch, x=keep_type(x + shift_BC[:, :, None, None], batch.x))


def root_covariance(x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> root_CC with root.T @ root the covariance of its finite pixels' colours."""
    pixels = x_BCHW.movedim(1, -1).reshape(-1, x_BCHW.shape[1]).double()
    pixels = pixels[pixels.isfinite().all(1)]
    if len(pixels) < 2:
        return x_BCHW.new_zeros(x_BCHW.shape[1], x_BCHW.shape[1])
    values, vectors = torch.linalg.eigh(pixels.T.cov().view(x_BCHW.shape[1], -1))
    return (values.clamp(min=0).sqrt()[:, None] * vectors.T).float()


AUGMENTS = {"jitter": Jitter(), "lighting": Lighting()}
