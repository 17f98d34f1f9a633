"""Finds things by their file: a new architecture, check, task or format is one new file.

Three places are looked at, and no list is edited in any of them:
1. the files of a room (`snellen/models/*.py`);
2. the folders that SNELLEN_PATH names (`<folder>/models/*.py`), for a user's own workshop;
3. installed packages, through the entry-point group of the room (`snellen.models`).
Each file declares a dict under the room's agreed name (`TABLE`, `CHECKS`, `TASKS`, ...).

A file of the user's or a package that is broken is left out with a warning that names it and says
why: everything else is there, and whoever asks for what it would have had is told again.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import LeftOut, SnellenError, UnknownName, UsageError

left_out: dict[str, dict[str, None]] = {}  # room -> its broken plug-ins, in the order of looking


@dataclass(frozen=True)
class Plugin:
    """Somebody's file or package: what a message calls it and advises, and how it is loaded.

    >>> Plugin("snellen.models", "mine.py", "mend it", lambda: sys).load().__name__
    'sys'
    """

    room: str
    name: str
    advice: str
    load: Callable[[], ModuleType]

    def leave_out(self, error: BaseException) -> None:
        """Warn in one line, once."""
        broken = left_out.setdefault(self.room, {})
        if self.name in broken:
            return
        broken[self.name] = None
        words = str(getattr(error, "msg", None) or error)  # a SyntaxError's words repeat its place
        first = words.partition("\n")[0]
        why = first if isinstance(error, SnellenError) else f"{type(error).__name__}: {first}"
        place = f"{self.name}{_line(error, self.name)}"
        warnings.warn(f"{place} is left out: {why}; {self.advice}", LeftOut, stacklevel=3)


@cache
def collect(room: str | tuple[str, ...], attribute: str, kind: type = object) -> dict[str, Any]:
    """Merge the dict called `attribute` of every file of a room, or of several as if they were one.

    A key `whose:name` answers to `name` as well. Two files of the room with the same key raise
    UsageError, values that are not of that kind too; a plug-in that has another's key, or is
    broken, is left out with a LeftOut warning.

    >>> "classify" in collect("snellen.tasks", "TASKS")
    True
    """
    found: dict[str, Any] = {}
    home: dict[str, str] = {}
    rooms = (room,) if isinstance(room, str) else room
    for module in (module for one in rooms for module in _own(one)):
        _add(found, home, _declared(module, attribute, kind), module.__name__)
    for plugin in (p for one in rooms for p in _sound(*_files(one), *_packages(one))):
        try:
            _add(found, home, _declared(plugin.load(), attribute, kind), plugin.name)
        except (Exception, SystemExit) as error:  # foreign code, of which nothing is known
            plugin.leave_out(error)
    return found


def get(room: str, attribute: str, name: str) -> Any:
    """The thing called `name`, or an error with the nearest right names.

    >>> get("snellen.tasks", "TASKS", "classify").name
    'classify'
    """
    known = collect(room, attribute)
    if name not in known:
        raise unknown(name, known, room)
    return known[name]


def unknown(name: str, known: Iterable[str], room: str) -> UnknownName:
    """The error of a name that a room has not; it names the plug-ins that were left out.

    >>> str(unknown("clasify", ["classify"], "snellen.tasks"))
    "no 'clasify' in tasks; did you mean classify?"
    """
    broken = f"; left out, since broken: {', '.join(left_out[room])}" if room in left_out else ""
    return UnknownName(name, known, room.rpartition(".")[2], broken)


def modules(room: str) -> Iterator[tuple[ModuleType, Plugin | None]]:
    """Every file of a room, its own first, then those of the user's folders that can be loaded,
    with whom to leave out where one of these cannot be used.

    >>> ("snellen.tasks.classify", None) in [(m.__name__, p) for m, p in modules("snellen.tasks")]
    True
    """
    yield from ((module, None) for module in _own(room))
    for plugin in _sound(*_files(room)):
        try:
            module = plugin.load()
        except (Exception, SystemExit) as error:
            plugin.leave_out(error)
        else:
            yield module, plugin


def _sound(*plugins: Plugin) -> Iterator[Plugin]:
    """Those that have not been left out before: what is left out is left out as a whole."""
    return (plugin for plugin in plugins if plugin.name not in left_out.get(plugin.room, {}))


def _own(room: str) -> Iterator[ModuleType]:
    package = importlib.import_module(room)
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{room}.{info.name}")


def _files(room: str) -> list[Plugin]:
    """The files of the user's folders."""
    inside, advice = room.split(".")[1:], "mend it, or take it out of SNELLEN_PATH"
    paths = [p for f in plugin_folders() for p in sorted(f.joinpath(*inside).glob("[!_]*.py"))]
    return [Plugin(room, str(path), advice, partial(_load_file, path, room)) for path in paths]


def _packages(room: str) -> list[Plugin]:
    """What installed packages offer."""
    found = []
    for entry in sorted(entry_points(group=room), key=lambda entry: entry.name):
        package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist else "an entry"
        name = f"{package} ({room}: {entry.name} = {entry.value})"
        found.append(Plugin(room, name, "update or uninstall it", partial(_load_entry, entry)))
    return found


def plugin_folders() -> list[Path]:
    """The folders of SNELLEN_PATH; one that does not exist is an error, not a silence.

    >>> all(folder.is_dir() for folder in plugin_folders())
    True
    """
    words = [w for w in os.environ.get("SNELLEN_PATH", "").split(os.pathsep) if w]
    for word in words:
        if not Path(word).is_dir():
            raise UsageError(f"SNELLEN_PATH names {word!r}, which is not a folder")
    return [Path(w) for w in words]


def _declared(module: ModuleType, attribute: str, kind: type) -> dict[str, Any]:
    """What a module declares, or UsageError where that is no dict of name -> `kind`."""
    declared = getattr(module, attribute, {})
    if not isinstance(declared, dict):
        raise UsageError(f"its {attribute} is a {type(declared).__name__}; a dict is wanted")
    for key, value in declared.items():
        if not isinstance(key, str):
            raise UsageError(f"{attribute} has the key {key!r}; a name is wanted")
        if not isinstance(value, kind):
            raise UsageError(
                f"{attribute}[{key!r}] is a {type(value).__name__}; a {kind.__name__} is wanted"
            )
    return declared


def _add(found: dict[str, Any], home: dict[str, str], declared: dict[str, Any], who: str) -> None:
    """Take up all that is declared, or nothing of it."""
    for key in declared:
        bare = key.rpartition(":")[2]
        alike = (k for k in home if k in (key, bare) or (k.endswith(f":{key}") and key == bare))
        if (other := next(alike, None)) is not None:
            raise UsageError(f"it declares {key!r}, which {home[other]} has")
    found.update(declared)
    home.update(dict.fromkeys(declared, who))


def _load_entry(entry: EntryPoint) -> ModuleType:
    loaded = entry.load()
    return loaded if isinstance(loaded, ModuleType) else sys.modules[loaded.__module__]


def _load_file(path: Path, room: str) -> ModuleType:
    """Import one file of the user's under a name that its relative imports resolve from."""
    name = f"{room}.{path.stem}"
    if name in sys.modules:
        if getattr(sys.modules[name], "__file__", None) != str(path):
            raise UsageError(f"it has the name of Snellen's own {name}")
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


def _line(error: BaseException, file: str) -> str:
    """Where in a file an error arose: ' line 3', or nothing where it was elsewhere."""
    path = os.path.abspath(file)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if os.path.abspath(frame.filename) == path]
    if isinstance(error, SyntaxError) and os.path.abspath(error.filename or "") == path:
        lines.append(error.lineno)
    return f" line {lines[-1]}" if lines and lines[-1] else ""
