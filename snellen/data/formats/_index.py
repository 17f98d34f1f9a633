"""Tables of pictures and labels: which file of a folder is one."""

from pathlib import Path

NAMES = ("labels", "train", "index", "annotations", "data")
SUFFIXES = (".csv", ".tsv")


def index_file(folder: Path) -> Path | None:
    """The table at the root of a folder that lists its pictures, or None."""
    for name in NAMES:
        for suffix in SUFFIXES:
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    return None
