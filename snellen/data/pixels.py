"""Pictures as any library holds them -> image_CHW: one reader for training and for prediction.

Axes: channels lie first or last, wherever 1 to 4 (or as many as a network has) are found. Numbers:
uint8 is pixels; booleans are black and white; uint16 becomes 0..1; whole numbers of another type
are pixels where all of the set lie in 0..255; all else is the user's own floats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError
from .images import picture

FEW_CHANNELS = (1, 2, 3, 4)


def image_tensor(image: Any, channels: int | None = None) -> Tensor:
    """A PIL picture or an HW, HWC or CHW array -> image_CHW in the type that the array has.

    `channels` are those of the network that will see it, where they are known.

    >>> image_tensor(np.zeros((4, 6, 3), np.uint8)).shape
    torch.Size([3, 4, 6])
    """
    shape = image.size if isinstance(image, Image.Image) else getattr(image, "shape", (1,))
    if 0 in shape:
        raise DataError(f"an image of size {tuple(shape)} holds no pixel")
    if isinstance(image, Image.Image):
        return picture(image, channels if channels in (1, 3) else None)
    x = as_tensor(image, "an image")
    if x.ndim == 2:
        return x[None]
    if x.ndim != 3:
        raise DataError(f"an image has shape {tuple(x.shape)}; H,W or C,H,W or H,W,C is wanted")
    first = channels_first(tuple(x.shape), channels)
    if first is None:  # libraries of arrays have them last
        first = isinstance(image, Tensor)
    return x if first else x.permute(2, 0, 1)


def stack(images: Sequence[Tensor]) -> Tensor:
    """Images_CHW of one shape -> x_BCHW, which lies in memory as the first of them does: decoders
    leave the channels of a pixel together, and copied so they need not change places.

    >>> decoded = torch.zeros(4, 6, 3, dtype=torch.uint8).permute(2, 0, 1)
    >>> stack([decoded, decoded]).is_contiguous(memory_format=torch.channels_last)
    True
    """
    first = images[0]
    if first.is_contiguous() or not first[None].is_contiguous(memory_format=torch.channels_last):
        return torch.stack([*images])
    shape, last = (len(images), *first.shape), torch.channels_last
    return torch.stack([*images], out=torch.empty(shape, dtype=first.dtype, memory_format=last))


def channels_first(shape: tuple[int, ...], channels: int | None = None) -> bool | None:
    """Whether a shape of three axes is C,H,W rather than H,W,C; None where both can be.

    >>> channels_first((3, 32, 32)), channels_first((32, 32, 3)), channels_first((16, 9, 5), 5)
    (True, False, False)
    """
    for few in ((channels,), FEW_CHANNELS):
        first, last = shape[0] in few, shape[2] in few
        if first != last:
            return first
    return None if first else True


def as_tensor(x: Any, what: str) -> Tensor:
    """An array, a list of numbers or a tensor -> a tensor, without a copy where none is needed."""
    if isinstance(x, Tensor):
        return x.detach()
    try:
        array = np.asarray(x)
    except ValueError as error:  # ragged lists
        raise DataError(f"{what} differ in size ({error}); resize them") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} has type {array.dtype}; numbers are wanted")
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    if array.dtype in (np.uint32, np.uint64):  # which torch can hold and not compare
        array = array.astype(np.int64)
    if any(stride < 0 for stride in array.strides) or not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)


def is_counted(x: Tensor) -> bool:
    """Whether the numbers are whole and of a type that does not tell what they mean."""
    plain = (torch.uint8, torch.bool, torch.uint16)
    return x.dtype not in plain and not x.is_floating_point()


def within_bytes(x: Tensor) -> bool:
    """Whether all numbers lie in 0..255."""
    return not x.numel() or (int(x.min()) >= 0 and int(x.max()) <= 255)


def plain_dtype(x: Tensor, as_bytes: bool | None = None) -> Tensor:
    """Numbers of any type -> uint8 pixels or float32.

    `as_bytes` says of whole numbers of an untelling type what they are: it is decided once for a
    set, by `within_bytes` of all its images, so that a dark picture is not read as another kind.

    >>> plain_dtype(torch.tensor([0, 255])).dtype, plain_dtype(torch.tensor([0, 256])).dtype
    (torch.uint8, torch.float32)
    """
    if x.dtype in (torch.uint8, torch.float32):
        return x
    if x.dtype == torch.bool:
        return x.to(torch.uint8) * 255
    if x.dtype == torch.uint16:
        return x.to(torch.int32).float() / 65535
    if is_counted(x) and (within_bytes(x) if as_bytes is None else as_bytes):
        if as_bytes and not within_bytes(x):
            raise DataError(
                f"an image of type {x.dtype} holds {int(x.min())}..{int(x.max())} where others of "
                "its set lie in 0..255; make them all uint8 or all float32"
            )
        return x.to(torch.uint8)
    return x.float()
