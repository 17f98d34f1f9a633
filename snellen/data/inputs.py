"""What a network is fed: the one place that knows size, channels and normalisation.

Saved in the checkpoint as part of the task's spec; training, evaluation, prediction and export all
prepare their batches here, so that they cannot differ.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .source import SampleSet
from .statistics import channel_statistics


@dataclass(frozen=True)
class Inputs:
    """Images of `channels` x `height` x `width`; uint8 pixels are scaled and standardised.

    The user's own floats are taken as they are (mean 0, std 1): the doctor says when that is bad.

    >>> Inputs(1, 2, 2, (0.5,), (0.25,)).prepare(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))
    tensor([[[[2., 2.],
              [2., 2.]]]])
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def of(train: SampleSet, imgsz: int | None = None) -> "Inputs":
        """Size and channels of the data (the first image), statistics of the training part."""
        first = train[0].image_CHW
        channels, height, width = first.shape
        if imgsz is not None:
            height = width = imgsz
        elif train.stacked() is None and not _same_size(train):
            height = width = usual_size(height, width)
        if first.is_floating_point():
            return Inputs(channels, height, width, (0.0,) * channels, (1.0,) * channels)
        mean, std = channel_statistics(train)
        return Inputs(channels, height, width, tuple(mean), tuple(std))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; `Inputs(**d)` is the same again."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def fit(self, image_CHW: Tensor) -> Tensor:
        """image_CHW of any size and 1 or 3 channels -> (channels, height, width), same dtype."""
        image_CHW = match_channels(image_CHW, self.channels)
        if image_CHW.shape[-2:] == (self.height, self.width):
            return image_CHW
        return resize(image_CHW, self.height, self.width)

    def prepare(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW uint8 or float -> float, standardised by the training part's statistics."""
        x = x_BCHW.float() if x_BCHW.is_floating_point() else x_BCHW.float().mul_(1 / 255)
        if not self._standardises:
            return x
        return x.sub(self._mean.to(x.device)).mul_(self._factor.to(x.device))

    @cached_property
    def _standardises(self) -> bool:
        return any(self.mean) or any(s != 1.0 for s in self.std)

    @cached_property
    def _mean(self) -> Tensor:
        return torch.tensor(self.mean).view(1, -1, 1, 1)

    @cached_property
    def _factor(self) -> Tensor:
        return 1.0 / torch.tensor(self.std).view(1, -1, 1, 1)


def resize(image_CHW: Tensor, height: int, width: int) -> Tensor:
    """image_CHW -> (C, height, width), bilinear with anti-aliasing, same dtype."""
    kind = image_CHW.dtype
    x = image_CHW[None].float()
    x = F.interpolate(x, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return x[0].round().clamp(0, 255).to(kind) if kind == torch.uint8 else x[0].to(kind)


def match_channels(image_CHW: Tensor, channels: int) -> Tensor:
    """Gray <-> colour: one channel is repeated, three become ITU-R 601 luma."""
    have = image_CHW.shape[0]
    if have == channels:
        return image_CHW
    if have == 1:
        return image_CHW.expand(channels, -1, -1)
    if channels == 1 and have == 3:
        weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
        gray = (image_CHW.float() * weights).sum(0, keepdim=True)
        return gray.round().to(image_CHW.dtype) if image_CHW.dtype == torch.uint8 else gray
    raise ValueError(f"an image of {have} channels cannot be read as {channels}")


def usual_size(height: int, width: int) -> int:
    """The square that images of mixed sizes are brought to: 32, 64, 128 or 224 pixels."""
    return next((s for s in (32, 64, 128) if min(height, width) <= s), 224)


def _same_size(train: SampleSet, looks: int = 16) -> bool:
    """Whether a spread of samples all have the size of the first, and it is a modest one."""
    step = max(1, len(train) // looks)
    sizes = {train[i].size for i in range(0, len(train), step)}
    return len(sizes) == 1 and max(next(iter(sizes))) <= 128
