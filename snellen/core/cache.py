"""The folder of what is only kept to save time; whatever lies there can be deleted at any time."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """SNELLEN_CACHE, else the user's cache folder, else ~/.cache/snellen; it may not exist yet.

    >>> cache_folder().is_absolute()
    True
    """
    if own := os.environ.get("SNELLEN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "snellen"
