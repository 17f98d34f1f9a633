"""Boxes too small to show anything, or as large as the image in all of a data set."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..boxes import unwound
from ..source import Problem
from ._album import Album

TINY = 2.0  # pixels; FAULTS has none, COCO's smallest sides are about so long


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> a problem for each box with a side below TINY pixels; it is kept."""
    for album in albums:
        inner = unwound(album.part)
        if inner is None:
            continue
        boxes, rows = inner
        for row in np.flatnonzero(album.readable_N).tolist():
            record = boxes.record(rows[row])
            for thing in record.things:
                width, height = thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]
                if min(width, height) < TINY and not thing.ignored:
                    message = f"a box of {width:.3g} x {height:.3g} pixels; it is kept"
                    yield Problem("box-tiny", message, "suspect", record.file, thing.line, (row,),
                                  do="look whether it shows anything", part=album.name)  # fmt: skip


AUDITS = {"box-tiny": look}
