"""Finds things by their file: a new architecture, check, task or format is one new file.

Three places are looked at, and no list is edited in any of them:
1. the files of a room (`snellen/models/*.py`);
2. the folders that SNELLEN_PATH names (`<folder>/models/*.py`), for a user's own workshop;
3. installed packages, through the entry-point group of the room (`snellen.models`).
Each file declares a dict under the room's agreed name (`TABLE`, `CHECKS`, `TASKS`, ...).

A broken file of the user's own is an error that names it; a broken package is left out with a
warning, since whoever runs Snellen may not be able to mend it.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
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
        _add(found, home, module, attribute)
    for entry in sorted(entry_points(group=room), key=lambda entry: entry.name):
        try:
            _add(found, home, _load_entry(entry), attribute)
        except Exception as error:  # somebody else's code, of which nothing is known
            _leave_out(entry, error)
    return found


def get(room: str, attribute: str, name: str) -> Any:
    """The thing called `name`, or an error with the nearest right names."""
    known = collect(room, attribute)
    if name not in known:
        raise UnknownName(name, known, room.rpartition(".")[2])
    return known[name]


def modules(room: str) -> Iterator[ModuleType]:
    """Every file of a room, its own first, then those of the user's folders."""
    package = importlib.import_module(room)
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{room}.{info.name}")
    for folder in plugin_folders():
        for path in sorted(folder.joinpath(*room.split(".")[1:]).glob("[!_]*.py")):
            yield _load_file(path, room)


def plugin_folders() -> list[Path]:
    """The folders of SNELLEN_PATH; one that does not exist is an error, not a silence."""
    words = [w for w in os.environ.get("SNELLEN_PATH", "").split(os.pathsep) if w]
    for word in words:
        if not Path(word).is_dir():
            raise UsageError(f"SNELLEN_PATH names {word!r}, which is not a folder")
    return [Path(w) for w in words]


def _add(found: dict[str, Any], home: dict[str, str], module: ModuleType, attribute: str) -> None:
    """Take up all that a module declares, or nothing of it."""
    declared = getattr(module, attribute, {})
    if not isinstance(declared, dict):
        raise UsageError(
            f"{attribute} of {module.__name__} is a {type(declared).__name__}; a dict is wanted"
        )
    for key in declared:
        if key in found:
            raise UsageError(
                f"{module.__name__} declares {key!r}, which {home[key]} has; rename one"
            )
    found.update(declared)
    home.update(dict.fromkeys(declared, module.__name__))


def _load_entry(entry: EntryPoint) -> ModuleType:
    loaded = entry.load()
    return loaded if isinstance(loaded, ModuleType) else sys.modules[loaded.__module__]


def _leave_out(entry: EntryPoint, error: Exception) -> None:
    package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    warnings.warn(
        f"{package} is left out: its {entry.group} entry {entry.name} ({entry.value}) fails "
        f"with {type(error).__name__}: {error}; update or uninstall it",
        RuntimeWarning,
        stacklevel=3,
    )


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
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        words = getattr(error, "msg", None) or error  # a SyntaxError's words repeat its place
        raise UsageError(
            f"{path}{_line(error, path)} cannot be loaded: {type(error).__name__}: {words}; "
            "mend it, or take it out of SNELLEN_PATH"
        ) from error
    return module


def _line(error: Exception, path: Path) -> str:
    """Where in a file an error arose: ' line 3', or nothing where it was elsewhere."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f" line {lines[-1]}" if lines and lines[-1] else ""
