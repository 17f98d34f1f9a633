"""Annotations that were made for an image of another size: their boxes lie elsewhere."""

from collections.abc import Iterator, Sequence

from ..boxes import unwound
from ..source import Problem
from ._album import Album


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> a problem for each annotation whose W x H is not the picture's."""
    for album in albums:
        inner = unwound(album.part)
        if inner is None:
            continue
        boxes, rows = inner
        for row, i in enumerate(rows):
            record = boxes.records[i]
            height, width = album.sizes_N2[row].tolist()
            if record.size is None or not album.readable_N[row] or record.size == (width, height):
                continue
            said = f"{record.size[0]} x {record.size[1]}"
            turned = "; it is stored turned (EXIF)" if _is_turned(album, row) else ""
            message = f"{said} is said of {record.image}, which has {width} x {height}{turned}"
            yield Problem("label-size-wrong", message, file=record.file, line=record.line,
                          samples=(row,), part=album.name,
                          do="look at its boxes; correct the size")  # fmt: skip


def _is_turned(album: Album, row: int) -> bool:
    header = album.headers.get(row)
    return header is not None and header.orientation > 4


AUDITS = {"box-sizes": look}
