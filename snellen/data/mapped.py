"""Pictures with maps of classes from memory: arrays x and y, or a Dataset of (picture, map)."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.rows import row_of
from .arrays import images_tensor
from .pixels import as_tensor
from .sample import VOID, Sample, Target
from .sets import image_of, item_of, place_of
from .source import SampleSet, Source


class MapArrays(SampleSet):
    """Images x_NCHW and maps_NHW in memory.

    >>> MapArrays(torch.zeros(5, 1, 8, 6), torch.ones(5, 8, 6))[3].target.semantic_HW.shape
    torch.Size([8, 6])
    """

    def __init__(self, x_NCHW: Tensor, maps_NHW: Tensor) -> None:
        self.x_NCHW, self.maps_NHW = x_NCHW, maps_NHW

    def __len__(self) -> int:
        return len(self.x_NCHW)

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.x_NCHW[i], self.target(i), i)

    def target(self, i: int) -> Target:
        """The map of sample i."""
        return Target(semantic_HW=self.maps_NHW[i].long())

    def stacked(self) -> Tensor:
        """x_NCHW itself, not a copy."""
        return self.x_NCHW


class MapDataset(SampleSet):
    """The user's torch Dataset of (picture, map), left as it is."""

    repeatable = False  # its transforms may draw at random

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        item, place = item_of(self.dataset, i), place_of(self.dataset, i)
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{place} is {type(item).__name__}; (picture, map) is wanted")
        image_CHW = image_of(self.dataset, i, item, as_bytes=None)
        target = Target(semantic_HW=_map(item[1], place))
        return Sample(image_CHW, target, row_of(self.dataset, i))


def from_maps(x: Any, y: Any, *, name: str = "arrays") -> Source:
    """Images x, maps y (N, H, W) of class numbers -> Source; 255 is no class, but where all else
    is 0.

    >>> y = np.zeros((4, 8, 6), int)
    >>> y[:, 2:5] = 2
    >>> from_maps(np.zeros((4, 8, 6), np.uint8), y).classes
    ('0', '1', '2')
    """
    x_NCHW = images_tensor(x, name)
    maps_NHW = _map(y, name)
    if maps_NHW.shape != (len(x_NCHW), *x_NCHW.shape[2:]):
        have, want = tuple(maps_NHW.shape), (len(x_NCHW), *x_NCHW.shape[2:])
        raise DataError(f"{name}: maps of shape {have}; {want} is wanted, a class for each pixel")
    values = maps_NHW.unique().tolist()
    if values == [0, VOID]:
        maps_NHW, values = (maps_NHW > 0).long(), [0, 1]
    facts = {"images": len(x_NCHW), "shape": list(x_NCHW.shape[1:]), "dtype": str(x_NCHW.dtype)}
    return Source(name, "arrays", MapArrays(x_NCHW, maps_NHW), _classes(values, name), facts=facts)


def from_map_dataset(dataset: Any) -> Source:
    """A torch Dataset of (picture, map) -> Source; its `classes` name them, or one reading counts.

    Raises DataError where an item is something else.
    """
    part, name = MapDataset(dataset), type(dataset).__name__
    names = getattr(dataset, "classes", None)
    if not isinstance(names, tuple | list):
        maps = (part[i].target.semantic_HW for i in range(len(part)))
        names = _classes(_values(maps), name)
    return Source(name, "dataset", part, tuple(map(str, names)))


def _values(maps: Iterable[Tensor | None]) -> list[int]:
    return sorted({v for map_HW in maps if map_HW is not None for v in map_HW.unique().tolist()})


def _classes(values: Sequence[int], name: str) -> tuple[str, ...]:
    """The values that occur -> names for 0 up to the largest."""
    kept = [v for v in values if v != VOID]
    if not kept or not 0 <= min(kept) <= max(kept) < VOID:
        have = f"{values[0]}..{values[-1]}" if values else "nothing"
        raise DataError(f"{name}: maps hold {have}; classes 0 to {VOID - 1} are wanted, "
                        f"{VOID} where there is none")  # fmt: skip
    return tuple(str(k) for k in range(max(kept) + 1))


def _map(values: Any, place: str) -> Tensor:
    """Class numbers as they come -> int64; raises DataError for others."""
    maps = as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values, place)
    whole = maps.long() if not maps.is_floating_point() else maps.round().long()
    if maps.is_floating_point() and not torch.equal(whole.to(maps.dtype), maps):
        raise DataError(f"{place}: a map of classes holds whole numbers; this one does not")
    return whole
