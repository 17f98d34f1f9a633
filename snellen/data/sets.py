"""The sample sets there are: files read on demand, arrays in memory, the user's own Dataset.

`Part` (a split) is in source.py, `Relabelled` (other class numbers) in relabel.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.rows import row_of
from .images import read_image
from .sample import Sample, Target
from .source import SampleSet


class FileSet(SampleSet):
    """Pictures on a disk, one class each; a picture is read when asked for, never before."""

    def __init__(self, paths: Sequence[str], labels_N: Tensor, channels: int = 3) -> None:
        self.paths, self.labels_N, self.channels = list(paths), labels_N, channels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Sample:
        image = read_image(self.paths[i], self.channels)
        return Sample(image, Target(label=int(self.labels_N[i])), i, self.paths[i])

    def labels(self) -> Tensor:
        """labels_N int64."""
        return self.labels_N

    def path(self, i: int) -> str:
        """The file of sample i."""
        return self.paths[i]


class ArraySet(SampleSet):
    """Images x_NCHW and labels_N in memory.

    >>> ArraySet(torch.zeros(5, 1, 8, 8), torch.arange(5))[3].target.label
    3
    """

    def __init__(self, x_NCHW: Tensor, labels_N: Tensor) -> None:
        self.x_NCHW, self.labels_N = x_NCHW, labels_N

    def __len__(self) -> int:
        return len(self.x_NCHW)

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.x_NCHW[i], Target(label=int(self.labels_N[i])), i)

    def labels(self) -> Tensor:
        """labels_N int64."""
        return self.labels_N

    def stacked(self) -> Tensor:
        """x_NCHW itself, not a copy."""
        return self.x_NCHW


class DatasetSet(SampleSet):
    """The user's torch Dataset of (image, label) items, left as it is.

    `index` of a sample is its row in the innermost data set: Subsets and joins of them are unwound.
    """

    repeatable = False  # its transforms may draw at random

    def __init__(self, dataset: Any, labels_N: Tensor) -> None:
        self.dataset, self.labels_N = dataset, labels_N

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        try:
            image = self.dataset[i][0]
        except DataError:
            raise
        except Exception as error:
            kind = type(self.dataset).__name__
            raise DataError(f"{kind}[{i}] raised {type(error).__name__}: {error}") from error
        label = int(self.labels_N[i])
        return Sample(image_tensor(image), Target(label=label), row_of(self.dataset, i))

    def labels(self) -> Tensor:
        """labels_N int64."""
        return self.labels_N


def image_tensor(image: Any) -> Tensor:
    """A PIL picture, HW or HWC array, or CHW tensor -> image_CHW, uint8 or float32.

    >>> image_tensor(np.zeros((4, 6, 3), np.uint8)).shape
    torch.Size([3, 4, 6])
    """
    if hasattr(image, "getbands"):  # PIL
        image = np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    is_array = isinstance(image, np.ndarray)
    x = torch.as_tensor(image)
    if x.ndim == 2:
        return plain_dtype(x[None])
    if x.ndim != 3:
        raise DataError(f"an image has shape {tuple(x.shape)}; H,W or C,H,W is wanted")
    looks_last = x.shape[-1] in (1, 3, 4) and (is_array or x.shape[0] not in (1, 3, 4))
    return plain_dtype(x.permute(2, 0, 1).contiguous() if looks_last else x)


def plain_dtype(x: Tensor) -> Tensor:
    """Any numbers -> uint8 where they are whole and within 0..255, else float32.

    >>> plain_dtype(torch.tensor([0, 255])).dtype, plain_dtype(torch.tensor([0.5])).dtype
    (torch.uint8, torch.float32)
    """
    if x.dtype in (torch.uint8, torch.float32):
        return x
    if x.dtype == torch.bool:
        return x.to(torch.uint8) * 255
    if x.is_floating_point():
        return x.float()
    if x.dtype == torch.uint16:
        return x.to(torch.int32).float() / 65535
    if x.numel() and (int(x.min()) < 0 or int(x.max()) > 255):
        return x.float()
    return x.to(torch.uint8)
