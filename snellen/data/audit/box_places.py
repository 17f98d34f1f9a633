"""Boxes that lie beside what they are of, all of them: shifted, or x and y exchanged."""

from collections.abc import Iterator, Sequence

from ..placing import misplaced
from ..source import Problem
from ._album import Album


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> what the pixels of train say of its boxes as a whole."""
    if albums:
        found = misplaced(albums[0].part)
        yield from (p for p in found if p.id != "label-size-wrong")  # box-sizes names each picture


AUDITS = {"box-places": look}
