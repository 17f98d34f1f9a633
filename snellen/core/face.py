"""A room of parts shows what its files define: `snellen.nn.Maxout`, whichever file holds it.

A part is added by its file alone: no list names it, and none is read before it is asked for. Files
in the folders of SNELLEN_PATH (`<folder>/nn/*.py`) count as the room's own.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from .parts import Part
from .registry import collect, modules


def show(room: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a room whose parts are looked up by name.

    `dir` shows the parts of the catalogue; the other functions of the files are found all the same.

    >>> import snellen as sn
    >>> sn.nn.count_params.__module__
    'snellen.nn.count'
    """

    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _files(room):
            return importlib.import_module(f"{room}.{name}")
        if name not in parts(room):
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return parts(room)[name]

    return find, lambda: sorted({*_files(room), *_named(room)})


@cache
def parts(room: str) -> dict[str, Any]:
    """The public functions and classes that the files of a room define, by name.

    Raises ImportError where two files define the same name, or one the name of a file; a plug-in
    that does so is left out with a LeftOut warning.
    """
    found: dict[str, Any] = {}
    home = {name: f"the file {name}.py of {room}" for name in _files(room)}
    for module, plugin in modules(room):
        defined = _defined(module)
        if taken := [name for name in defined if name in home]:
            error = ImportError(f"it defines {taken[0]!r}, which {home[taken[0]]} has")
            if plugin is None:
                raise ImportError(f"{module.__name__}: {error}")
            plugin.leave_out(error)
            continue
        found |= defined
        home |= dict.fromkeys(defined, plugin.name if plugin else module.__name__)
    return found


def _defined(module: ModuleType) -> dict[str, Any]:
    """The public functions and classes that a file itself defines."""
    return {
        name: thing for name, thing in vars(module).items()
        if (inspect.isroutine(thing) or inspect.isclass(thing))
        and not name.startswith("_") and thing.__module__ == module.__name__
    }  # fmt: skip


@cache
def _named(room: str) -> set[str]:
    """The names of a room that the catalogue of parts has; helpers can be reached but not seen."""
    listed = ", ".join(part.where for part in collect(room, "PARTS", Part).values()).split(", ")
    return {dotted.rpartition(".")[2] for dotted in listed} & set(parts(room))


@cache
def _files(room: str) -> tuple[str, ...]:
    path = importlib.import_module(room).__path__
    return tuple(info.name for info in pkgutil.iter_modules(path) if info.name[0] != "_")
