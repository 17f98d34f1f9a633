"""Brightness, contrast and saturation shifted a little (note 004, AlexNet's colour shift)."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from ...core.parts import Part
from ..sample import Batch
from ..source import SampleSet
from ..statistics import colour_covariance
from ._base import Augment, beside, keep_type

BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.2  # greatest change to either side


class Jitter(Augment):
    """Each sample: distance from its gray times s, from its mean times c, all times b.

    Gray is the plain mean of the three channels; torchvision's is luma (0.299 R, 0.587 G, 0.114 B).
    Here the channels need not be red, green and blue, and their mean is what contrast keeps.
    """

    name = "jitter"
    about = "brightness, contrast and saturation, a fifth to either side"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; draws s, c, b in 0.8 .. 1.2, one of each a sample."""
        colours = beside(draw_colours(len(batch), generator), batch.x)
        saturation, contrast, brightness = colours[..., None, None, None].unbind()
        x = batch.x.float()
        if x.shape[1] == 3:
            gray = x.mean(1, keepdim=True)
            x = gray + (x - gray) * saturation
        middle = x.mean((1, 2, 3), keepdim=True)
        x = (x - middle) * (contrast * brightness) + middle * brightness
        return replace(batch, x=keep_type(x, batch.x))


def draw_colours(count: int, generator: Generator) -> Tensor:
    """Number -> colours_3B: saturation, contrast and brightness as factors.

    >>> draw_colours(4, torch.Generator()).shape
    torch.Size([3, 4])
    """
    brightness, contrast, saturation = torch.rand(3, count, generator=generator) * 2 - 1
    return torch.stack([1 + saturation * SATURATION, 1 + contrast * CONTRAST,
                        1 + brightness * BRIGHTNESS])  # fmt: skip


class Lighting(Augment):
    """Along each principal direction of the colours, a normal draw times 0.1 times the deviation
    there, the root of the eigenvalue.

    AlexNet's paper (4.1) multiplies by the eigenvalue itself; a shift by its root is the same share
    of the spread in any unit of the pixels. The directions are those of
    `covariance_CC` as `colour_covariance` measures it on the training part (a training does so):
    uint8 counts as 0..1, floats as they are. Where none is given, they are the batch's own.
    """

    name = "lighting"
    about = "shift along the principal colours of the training part (after AlexNet)"

    def __init__(self, covariance_CC: Tensor | None = None) -> None:
        self.covariance_CC = covariance_CC

    def fit(self, part: SampleSet) -> "Lighting":
        """Of the colours of the training part, where no covariance was given."""
        return self if self.covariance_CC is not None else Lighting(colour_covariance(part))

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """x_BCHW -> x_BCHW; the shifts' covariance is 0.01 times that of the pixels."""
        x = batch.x.float()
        draws = beside(torch.randn(len(x), x.shape[1], generator=generator), x)
        given = self.covariance_CC
        if given is None:
            root_CC = root_covariance(x)
        else:
            root_CC = beside(root(given), x) * (255 if batch.x.dtype == torch.uint8 else 1)
        shift_BC = draws @ (0.1 * root_CC)
        return replace(batch, x=keep_type(x + shift_BC[:, :, None, None], batch.x))


def root_covariance(x_BCHW: Tensor) -> Tensor:
    """x_BCHW -> root_CC with root.T @ root the covariance of its finite pixels' colours."""
    pixels = x_BCHW.movedim(1, -1).reshape(-1, x_BCHW.shape[1]).double()
    pixels = pixels[pixels.isfinite().all(1)]
    if len(pixels) < 2:
        return x_BCHW.new_zeros(x_BCHW.shape[1], x_BCHW.shape[1])
    return root(pixels.T.cov().view(x_BCHW.shape[1], -1))


def root(covariance_CC: Tensor) -> Tensor:
    """covariance_CC -> root_CC with root.T @ root = covariance; its rows are principal directions.

    >>> root(torch.diag(torch.tensor([4.0, 9.0])))
    tensor([[2., 0.],
            [0., 3.]])
    """
    values, vectors = torch.linalg.eigh(covariance_CC)
    return (values.clamp(min=0).sqrt()[:, None] * vectors.T).float()


PARTS = {
    "Colour jitter": Part(
        "Augmentations",
        "sn.data.augment.jitter.Jitter",
        "augment=jitter: brightness, contrast, saturation",
        "001 003 004",
    ),
    "PCA colour shift (lighting)": Part(
        "Augmentations",
        "sn.data.augment.jitter.Lighting, sn.data.statistics.colour_covariance",
        "augment=lighting: covariance 0.01 times that of the pixels (AlexNet: its square)",
        "001 003",
    ),
}
AUGMENTS = {"jitter": Jitter(), "lighting": Lighting()}
