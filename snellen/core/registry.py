"""Finds things by their file: a new architecture, check, task or format is one new file.

Three places are looked at, and no list is edited in any of them:
1. the files of a room (`snellen/models/*.py`);
2. the folders that SNELLEN_PATH names (`<folder>/models/*.py`), for a user's own workshop;
3. installed packages, through the entry-point group of the room (`snellen.models`).
Each file declares a dict under the room's agreed name (`TABLE`, `CHECKS`, `TASKS`, ...).
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UnknownName, UsageError


@cache
def collect(room: str, attribute: str) -> dict[str, Any]:
    """Merge the dict called `attribute` of every file of `room`; a repeated key is an error.

    >>> "classify" in collect("snellen.tasks", "TASKS")
    True
    """
    found: dict[str, Any] = {}
    home: dict[str, str] = {}
    for module in modules(room):
        for key, value in getattr(module, attribute, {}).items():
            if key in found:
                raise UsageError(
                    f"{module.__name__} declares {key!r}, which {home[key]} has; rename one"
                )
            found[key], home[key] = value, module.__name__
    return found


def get(room: str, attribute: str, name: str) -> Any:
    """The thing called `name`, or an error with the nearest right names."""
    known = collect(room, attribute)
    if name not in known:
        raise UnknownName(name, known, room.rpartition(".")[2])
    return known[name]


def modules(room: str) -> Iterator[ModuleType]:
    """Every file of a room, its own first, then the user's folders, then installed packages."""
    package = importlib.import_module(room)
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{room}.{info.name}")
    for folder in plugin_folders():
        for path in sorted(folder.joinpath(*room.split(".")[1:]).glob("[!_]*.py")):
            yield _load_file(path, room)
    for entry in sorted(entry_points(group=room), key=lambda entry: entry.name):
        loaded = entry.load()
        yield loaded if isinstance(loaded, ModuleType) else sys.modules[loaded.__module__]


def plugin_folders() -> list[Path]:
    """The folders of SNELLEN_PATH; one that does not exist is an error, not a silence."""
    words = [w for w in os.environ.get("SNELLEN_PATH", "").split(os.pathsep) if w]
    for word in words:
        if not Path(word).is_dir():
            raise UsageError(f"SNELLEN_PATH names {word!r}, which is not a folder")
    return [Path(w) for w in words]


def _load_file(path: Path, room: str) -> ModuleType:
    """Import one file of the user's under a name that its relative imports resolve from."""
    name = f"{room}.{path.stem}"
    if name in sys.modules:
        if getattr(sys.modules[name], "__file__", None) != str(path):
            raise UsageError(f"{path} has the name of Snellen's own {name}; rename the file")
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
