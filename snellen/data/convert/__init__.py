"""One file, one format that data can be written in: WRITERS, (source, folder) -> what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..source import Source


def convert(source: Source, format: str, folder: str | Path) -> list[str]:
    """Write a source in another format into a new folder; returns what had to be left out.

    Raises UsageError where the folder holds anything or lies inside the data set.

    >>> from ..open import open_path
    >>> convert(open_path("digits"), "cocoa", "/no/such/folder")
    Traceback (most recent call last):
    snellen.core.errors.UnknownName: no 'cocoa' in convert; did you mean coco?
    """
    from ...core import registry
    from ._export import left_out, need_boxes, new_folder, unreadable
    from ._joints import with_joints

    write = registry.get("snellen.data.convert", "WRITERS", format)
    if format != "csv":
        need_boxes(source)
    source, loose = with_joints(source)
    left = [*unreadable(source), *left_out(source, format), *loose]
    return [*left, *write(source, new_folder(folder, source.name))]
