"""Panoptic pictures: things and ground in one map, whose colours are the numbers of segments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core.errors import DataError
from .images import read_image
from .maps import check_size, codes_in, read_codes, segment_ids
from .sample import VOID, Sample, Target
from .source import SampleSet


@dataclass(frozen=True)
class Segment:
    """A piece of a picture: its number in the map, its class, and whether it is a thing."""

    id: int
    label: int
    is_thing: bool
    is_crowd: bool = False
    line: int | None = None


@dataclass(frozen=True)
class Panorama:
    """A picture, its map and what the map's numbers mean."""

    image: str
    map: str
    segments: tuple[Segment, ...] = ()
    file: str | None = None
    line: int | None = None


@dataclass
class PanopticSet(SampleSet):
    """Semantic maps, and the masks and boxes of things; all is read when asked for."""

    pictures: Sequence[Panorama]
    channels: int = 3
    things: tuple[bool, ...] = ()  # which classes are of things, the others of ground

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> Sample:
        picture = self.pictures[i]
        image_CHW = read_image(picture.image, self.channels)
        ids_HW = segment_ids(read_codes(picture.map))
        check_size(picture.map, ids_HW.shape, image_CHW.shape[-2:])
        return Sample(image_CHW, truth(picture, ids_HW), i, picture.image)

    def path(self, i: int) -> str:
        """The picture of sample i."""
        return self.pictures[i].image


def truth(picture: Panorama, ids_HW: np.ndarray) -> Target:
    """A picture's map -> classes of its pixels, and its things with masks and boxes.

    Raises DataError where the map holds numbers that are no segment.
    """
    known = {segment.id: segment for segment in picture.segments}
    strange = [id for id in codes_in(ids_HW) if id and id not in known]
    if strange:
        raise DataError(f"{picture.map} holds the segment {strange[0]}, which {picture.file} line "
                        f"{picture.line} does not name")  # fmt: skip
    semantic_HW = torch.full(ids_HW.shape, VOID)
    things, masks = [], []
    for segment in picture.segments:
        mask_HW = torch.from_numpy(ids_HW == segment.id)
        if not segment.is_crowd:
            semantic_HW[mask_HW] = segment.label
        if segment.is_thing and mask_HW.any():
            things.append(segment)
            masks.append(mask_HW)
    masks_NHW = torch.stack(masks) if masks else torch.zeros(0, *ids_HW.shape, dtype=torch.bool)
    crowds = [thing.is_crowd for thing in things]
    return Target(
        labels=torch.tensor([thing.label for thing in things], dtype=torch.int64),
        boxes_N4=torch.tensor([box_of(mask_HW) for mask_HW in masks]).reshape(-1, 4),
        ignored_N=torch.tensor(crowds) if any(crowds) else None,
        masks_NHW=masks_NHW,
        semantic_HW=semantic_HW,
    )


def box_of(mask_HW: torch.Tensor) -> list[float]:
    """A mask with a pixel at least -> the smallest box around it.

    >>> box_of(torch.tensor([[False, True, True]]))
    [1.0, 0.0, 3.0, 1.0]
    """
    rows, columns = (mask_HW.any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return [float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0]
