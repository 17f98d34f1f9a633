"""Instance masks in files of their own as records: read when one is asked for, and kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from .boxes import Record, Thing, image_size
from .maps import check_size, codes_in, read_codes


@dataclass
class InstanceRecords(Sequence[Record]):
    """Pictures and their masks -> records of one class; nothing is read before it is asked for.

    A picture has either one mask whose values are the things' numbers, 0 none, or one mask a thing.
    """

    images: Sequence[str]
    masks: Sequence[Sequence[str]]  # the files of each picture
    is_numbered: bool  # one file a picture: its values are numbers of things
    known: dict[int, Record] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Record]: ...
    def __getitem__(self, i: int | slice) -> Record | Sequence[Record]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if i < 0 or i >= len(self):
            raise IndexError(i)
        if i not in self.known:
            self.known[i] = self._read(i)
        return self.known[i]

    def _read(self, i: int) -> Record:
        size = image_size(self.images[i])
        things = []
        for file in self.masks[i]:
            codes_HW = read_codes(file)
            check_size(file, codes_HW.shape, size[::-1])
            values = codes_in(codes_HW) if self.is_numbered else [1]
            shown_HW = codes_HW if self.is_numbered else codes_HW > 0
            things += [thing_of(shown_HW == v) for v in values if v > 0]
        kept = tuple(thing for thing in things if thing.box[2] > thing.box[0])
        return Record(self.images[i], kept, size, self.masks[i][0] if self.masks[i] else None)


def thing_of(mask_HW: np.ndarray, label: int = 0, ignored: bool = False) -> Thing:
    """A mask -> the thing that it shows, its box the smallest around it.

    >>> mask_HW = np.zeros((4, 6), bool)
    >>> mask_HW[1:3, 2:5] = True
    >>> thing_of(mask_HW).box
    (2.0, 1.0, 5.0, 3.0)
    """
    rows, columns = (np.flatnonzero(mask_HW.any(axis)) for axis in (1, 0))
    if not len(rows):
        return Thing(label, (0.0, 0.0, 0.0, 0.0), ignored=ignored)
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    x1, y1, x2, y2 = (float(v) for v in box)
    return Thing(label, (x1, y1, x2, y2), ignored=ignored, outline=run_lengths(mask_HW))


def run_lengths(mask_HW: np.ndarray) -> dict[str, Any]:
    """A mask -> COCO's plain run lengths: down the columns, beginning with zeros.

    >>> run_lengths(np.array([[0, 1], [0, 1]], bool))
    {'size': [2, 2], 'counts': [2, 2]}
    """
    flat = mask_HW.T.ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask_HW.shape), "counts": counts}
