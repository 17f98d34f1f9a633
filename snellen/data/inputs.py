"""What a network is fed: the one place that knows size, channels and normalisation.

Saved in the checkpoint as part of the task's spec; training, evaluation, prediction and export all
prepare their batches here, so that they cannot differ.

What the numbers of a picture meant in training is recorded (`pixels`), and others are brought to
it where there is no doubt:

| trained on | given | becomes |
| --- | --- | --- |
| "bytes": uint8, files | whole numbers in 0..255 of any type | bytes |
| | floats in 0..1, none above | times 255, rounded |
| | other numbers | refused |
| "0..1": floats in 0..1 | uint8, files | divided by 255 |
| "own": any other floats | uint8, files | refused: only the user knows their preparation |

Floats for a network that was trained on floats are taken as they are.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import DataError, UsageError
from .pixels import is_counted, plain_dtype, within_bytes
from .source import SampleSet
from .statistics import channel_statistics

OR_UNIT = ", or floats in 0..1"  # which a single sample of a data set cannot tell


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
    pixels: str = ""  # what was trained on: "bytes", "0..1", "own"; "" where it was not recorded

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
            kind = "0..1" if _in_unit(train) else "own"
            return Inputs(channels, height, width, (0.0,) * channels, (1.0,) * channels, kind)
        mean, std = channel_statistics(train)
        return Inputs(channels, height, width, tuple(mean), tuple(std), "bytes")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; `Inputs(**d)` is the same again."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def fit(self, image_CHW: Tensor) -> Tensor:
        """image_CHW of any size and 1 or 3 channels -> (channels, height, width), of the kind that
        was trained on; raises DataError where it is another.
        """
        is_bytes = image_CHW.dtype == torch.uint8
        if is_bytes and self.pixels == "0..1":
            image_CHW = image_CHW.float() / 255
        elif self.pixels in ("bytes", "own") and is_bytes != (self.pixels == "bytes"):
            raise DataError(_another_kind(image_CHW, self.pixels).removesuffix(OR_UNIT))
        image_CHW = match_channels(image_CHW, self.channels)
        if image_CHW.shape[-2:] == (self.height, self.width):
            return image_CHW
        return resize(image_CHW, self.height, self.width)

    def as_trained(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Images of any type -> the same in the numbers that were trained on, decided for all of
        them at once; raises UsageError where that is in doubt.

        >>> bytes_net = Inputs(1, 1, 2, (0.5,), (0.25,), "bytes")
        >>> bytes_net.as_trained([torch.tensor([[[0.0, 1.0]]])])
        [tensor([[[  0, 255]]], dtype=torch.uint8)]
        """
        if self.pixels != "bytes":
            if self.pixels == "own" and any(x.dtype == torch.uint8 for x in images):
                raise UsageError(_another_kind(images[0], self.pixels))
            return [plain_dtype(x, False if self.pixels else None) for x in images]
        return _as_bytes(images)

    def prepare(
        self, x_BCHW: Tensor, layout: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """x_BCHW uint8 or float, in whatever order it lies in memory -> float, standardised by the
        training part's statistics, in the order of `layout`.
        """
        x = x_BCHW.to(torch.float32, memory_format=layout)
        x = x if x_BCHW.is_floating_point() else x.mul_(1 / 255)
        if not self._standardises:
            return x
        mean, factor = (t.to(x.device, non_blocking=True) for t in (self._mean, self._factor))
        return x.sub(mean).mul_(factor)

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
    kind, size = image_CHW.dtype, (height, width)
    if kind == torch.uint8 and image_CHW.device.type == "cpu":
        return _bilinear(image_CHW, size)  # in whole numbers: several times faster, a level apart
    x = _bilinear(image_CHW.float(), size)
    return x.round().clamp(0, 255).to(kind) if kind == torch.uint8 else x.to(kind)


def _bilinear(x_CHW: Tensor, size: tuple[int, int]) -> Tensor:
    # Made one of a batch before its axes change places, a picture whose channels lie last is known
    # as such: torch then spares two copies of it, and so it comes out.
    x_BCHW = x_CHW.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
    return F.interpolate(x_BCHW, size, mode="bilinear", align_corners=False, antialias=True)[0]


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
    more = "; x[..., :3] leaves transparency out" if (have, channels) == (4, 3) else ""
    raise DataError(f"an image of {have} channels cannot be read as {channels}{more}")


def _as_bytes(images: Sequence[Tensor]) -> list[Tensor]:
    """Images of any type for a network of bytes -> uint8."""
    floats = [x for x in images if x.is_floating_point()]
    low, high = _range(floats)
    scale = 255 if high <= 1 else 1
    if floats and not (low >= 0 and high <= 255 and (scale == 255 or all(map(_is_whole, floats)))):
        raise UsageError(_another_kind(floats[0], "bytes", f" {low:.4g}..{high:.4g}"))
    for x in images:
        if is_counted(x) and not within_bytes(x):
            raise UsageError(_another_kind(x, "bytes", f" {int(x.min())}..{int(x.max())}"))
    return [_one_as_bytes(x, scale) for x in images]


def _one_as_bytes(x: Tensor, scale: int) -> Tensor:
    if x.dtype == torch.uint16:  # as of files of 16 bit: the high byte
        return (x.to(torch.int32) >> 8).to(torch.uint8)
    if x.is_floating_point():
        return x.mul(scale).round().to(torch.uint8)
    return plain_dtype(x, as_bytes=True)


def _is_whole(x: Tensor) -> bool:
    return bool((x == x.round()).all())


def _range(images: Sequence[Tensor]) -> tuple[float, float]:
    """The least and the greatest number; NaN where one is among them."""
    if not images:
        return 0.0, 0.0
    ends = torch.stack([torch.stack(x.aminmax()).double() for x in images])
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def _another_kind(x: Tensor, pixels: str, reach: str = "") -> str:
    """What to say of numbers that the network was not trained on."""
    if pixels == "own":
        return (
            "the network was trained on floats that you prepared, and this is a picture of 8 bit; "
            "give what your preparation makes of it, or x.astype('float32') where it is none"
        )
    kind = str(x.dtype).removeprefix("torch.")
    return (
        f"the network was trained on pixels of 8 bit, and this is {kind}{reach}; "
        f"give uint8 in 0..255{OR_UNIT}"
    )


def _in_unit(train: SampleSet, looks: int = 16) -> bool:
    """Whether floats fill the range 0..1, as pictures divided by 255 do."""
    images = train.stacked()
    step = max(1, len(train) // looks)
    seen = [train[i].image_CHW for i in range(0, len(train), step)] if images is None else [images]
    finite = [x[x.isfinite()] for x in seen]
    low, high = _range([x for x in finite if x.numel()])
    return low >= 0 and 0.5 < high <= 1


def usual_size(height: int, width: int) -> int:
    """The square that images of mixed sizes are brought to: 32, 64, 128 or 224 pixels."""
    return next((s for s in (32, 64, 128) if min(height, width) <= s), 224)


def _same_size(train: SampleSet, looks: int = 16) -> bool:
    """Whether a spread of samples all have the size of the first, and it is a modest one."""
    step = max(1, len(train) // looks)
    sizes = {train[i].size for i in range(0, len(train), step)}
    return len(sizes) == 1 and max(next(iter(sizes))) <= 128
