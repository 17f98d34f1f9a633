"""Mean and standard deviation of each channel, of the training part only (notes 000, 002, 003)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..core.errors import DataError
from .source import SampleSet
from .splits import generator

CHUNK = 2**22  # pixels at a time, so that the float copies stay small


def channel_statistics(
    part: SampleSet, sample_limit: int = 500
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Training part -> (mean_C, std_C); uint8 counts as 0..1, floats stay as given.

    Images in memory are all looked at; of files, at most `sample_limit`, drawn with a fixed
    seed. Images with NaN or infinite pixels and unreadable files are passed over; a constant
    channel gets std 1, so that dividing by it does no harm.

    Raises DataError where no image is readable and finite.

    >>> from .sets import ArraySet
    >>> x = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> channel_statistics(ArraySet(x, torch.zeros(2, dtype=torch.int64)))
    ((0.5,), (0.5,))
    """
    images = part.stacked()
    moments = _of_tensor(images) if images is not None else _of_files(part, sample_limit)
    count, mean_C, square_C = moments
    if not count:
        raise DataError("no readable, finite image to take mean and deviation of")
    std_C = (square_C / count).sqrt()
    scale = mean_C.abs().clamp(min=1e-3)
    std_C = torch.where(std_C < 1e-6 * scale, 1.0, std_C)
    return tuple(mean_C.tolist()), tuple(std_C.tolist())


def colour_covariance(part: SampleSet, sample_limit: int = 500) -> Tensor:
    """Training part -> covariance_CC of its pixels' colours, float64; uint8 counts as 0..1.

    What AlexNet's shift of colours is fitted to. Which images are looked at and passed over is as
    in `channel_statistics`.

    >>> from .sets import ArraySet
    >>> x = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).view(2, 2, 1, 1)
    >>> colour_covariance(ArraySet(x, torch.zeros(2, dtype=torch.int64)))
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]], dtype=torch.float64)
    """
    images = part.stacked()
    parts = _chunks(images) if images is not None else _readable(part, sample_limit)
    mean_C = torch.tensor(channel_statistics(part, sample_limit)[0], dtype=torch.float64)
    total_CC, count = torch.zeros(len(mean_C), len(mean_C), dtype=torch.float64), 0
    for x_NCHW in parts:
        pixels = x_NCHW.movedim(1, -1).reshape(len(x_NCHW), -1, len(mean_C)).double()
        pixels = pixels[pixels.isfinite().flatten(1).all(1)].flatten(0, 1)
        apart = pixels / (255 if x_NCHW.dtype == torch.uint8 else 1) - mean_C
        total_CC += apart.T @ apart
        count += len(apart)
    return total_CC / count


Moments = tuple[int, Tensor, Tensor]  # pixels, mean_C, sum of squared deviations_C; float64


def _of_tensor(x_NCHW: Tensor) -> Moments:
    total = _nothing(x_NCHW.shape[1])
    for part in _chunks(x_NCHW):
        total = _merge(total, _moments(part))
    return total


def _of_files(part: SampleSet, limit: int) -> Moments:
    total: Moments | None = None
    for image in _readable(part, limit):
        total = _merge(_nothing(image.shape[1]) if total is None else total, _moments(image))
    return total if total is not None else _nothing(1)


def _chunks(x_NCHW: Tensor) -> Iterator[Tensor]:
    step = max(1, CHUNK // max(1, x_NCHW[0].numel()))
    return (x_NCHW[start : start + step] for start in range(0, len(x_NCHW), step))


def _readable(part: SampleSet, limit: int) -> Iterator[Tensor]:
    """Up to `limit` images that can be read, as x_1CHW, drawn with a fixed seed."""
    seen = 0
    for i in generator(0).permutation(len(part)).tolist():
        try:
            image = part[i].image_CHW[None]
        except DataError:
            continue  # `audit.screen` names it
        yield image
        seen += 1
        if seen == limit:
            break


def _moments(x_NCHW: Tensor) -> Moments:
    if x_NCHW.dtype == torch.uint8:
        return _whole_moments(x_NCHW)
    finite = x_NCHW.isfinite().flatten(1).all(1)
    x = (x_NCHW if finite.all() else x_NCHW[finite]).double()
    if not x.numel():
        return _nothing(x_NCHW.shape[1])
    mean_C = x.mean((0, 2, 3))
    return x.numel() // x.shape[1], mean_C, (x - mean_C[:, None, None]).square().sum((0, 2, 3))


def _whole_moments(x_NCHW: Tensor) -> Moments:
    """uint8: sums of whole numbers are exact, so the order of the images cannot matter."""
    x = x_NCHW.int()
    sum_C, square_C = x.sum((0, 2, 3)).double(), x.square().sum((0, 2, 3)).double()
    count = x.numel() // x.shape[1]
    mean_C = sum_C / count
    return count, mean_C / 255, (square_C - sum_C * mean_C) / 255**2


def _merge(a: Moments, b: Moments) -> Moments:
    """Chan, Golub, LeVeque 1979: moments of two heaps -> moments of both together."""
    count = a[0] + b[0]
    if not count:
        return a
    apart = b[1] - a[1]
    return (
        count,
        a[1] + apart * (b[0] / count),
        a[2] + b[2] + apart.square() * (a[0] * b[0] / count),
    )


def _nothing(channels: int) -> Moments:
    zero = torch.zeros(channels, dtype=torch.float64)
    return 0, zero, zero.clone()
