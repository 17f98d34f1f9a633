"""Makes a good picture poor: smaller, with noise.

The same picture gets the same noise each time, unless a training asks for new.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Poorer:
    """`scale` times smaller (bicubic, anti-aliased), then Gaussian noise, `noise` levels of 255."""

    scale: int = 2
    noise: float = 0.0

    def pair(self, x_BCHW: Tensor, *, fresh: bool = False) -> tuple[Tensor, Tensor]:
        """x_BCHW in 0..1 -> poor pictures, and the good ones cut to a multiple of the scale.

        >>> poor, good = Poorer(3).pair(torch.rand(2, 1, 10, 7))
        >>> poor.shape, good.shape
        (torch.Size([2, 1, 3, 2]), torch.Size([2, 1, 9, 6]))
        """
        height, width = (max(side // self.scale, 1) for side in x_BCHW.shape[-2:])
        good = x_BCHW[..., : height * self.scale, : width * self.scale]
        poor = good
        if self.scale > 1:
            poor = F.interpolate(good, (height, width), mode="bicubic", antialias=True)
        if self.noise:
            poor = poor + self.noise / 255 * self._drawn(poor, good, fresh)
        return (poor.clamp(0, 1) * 255).round() / 255, good  # as a file holds it

    def _drawn(self, poor: Tensor, good: Tensor, fresh: bool) -> Tensor:
        if fresh:
            return torch.randn_like(poor)
        drawn = [torch.randn(p.shape, generator=_by(g)) for p, g in zip(poor, good, strict=True)]
        return torch.stack(drawn).to(poor)

    def enlarged(self, x_BCHW: Tensor) -> Tensor:
        """Poor pictures at the size of good ones, by bicubic interpolation."""
        if self.scale == 1:
            return x_BCHW
        return F.interpolate(x_BCHW, scale_factor=self.scale, mode="bicubic")


def _by(good_CHW: Tensor) -> torch.Generator:
    """A generator that depends on the picture alone."""
    seed = int((good_CHW.double() * 255).round().sum())
    return torch.Generator().manual_seed(seed)
