"""Finding the pictures that annotations speak of, never outside the data set's own folder."""

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath

from ..images import is_image_name
from ._folders import scan


class Media:
    """The pictures below a folder, listed once and only where a name is not where it should be."""

    def __init__(self, root: Path, hints: list[Path] | None = None) -> None:
        self.root, self.hints = root, hints or [root]

    def find(self, word: str) -> str | None:
        """A file name as an annotation has it -> the picture's path, or None."""
        if file := self.beside(word):
            return file
        same = self.by_name.get(PurePosixPath(word).name, [])
        return same[0] if len(same) == 1 else None

    def beside(self, word: str) -> str | None:
        """The same where the picture lies in one of the usual places; no folder is searched."""
        for place in self.hints:
            file = place / word
            if file.is_file():
                self.hints = [place, *(h for h in self.hints if h != place)]
                return str(file)
        return None

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """{file name: pictures of that name}."""
        names: dict[str, list[str]] = defaultdict(list)
        for files in scan(self.root).images.values():
            for file in files:
                names[os.path.basename(file)].append(file)
        return names


def leaves(word: str) -> bool:
    """Whether a path of an annotation leads out of the data set's folder.

    >>> leaves("a/b.jpg"), leaves("../b.jpg"), leaves("/etc/passwd"), leaves("C:\\\\a.jpg")
    (False, True, True, True)
    """
    parts = PurePosixPath(word.replace("\\", "/")).parts
    first = parts[0] if parts else ""
    return ".." in parts or first == "/" or first.endswith(":")


def pictures(folder: Path) -> dict[str, list[str]]:
    """A folder -> {stem: its pictures}; nothing below it."""
    found: dict[str, list[str]] = defaultdict(list)
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image_name(entry.name) and not entry.name.startswith(".") and entry.is_file():
                found[entry.name.rpartition(".")[0]].append(entry.path)
    return {stem: sorted(files) for stem, files in sorted(found.items())}
