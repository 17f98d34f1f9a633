"""Who imports whom: the import table of the rooms, and what breaks it. Standard library only.

`tests/test_imports.py` fails where `wrong` or `cycles` finds something; `make style` counts them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# A room may import itself, these, and what these may import.
TABLE: dict[str, set[str]] = {
    "core": set(),
    "byhand": set(),
    "nn": {"core"},
    "optim": {"core"},
    "data": {"core"},
    "doctor": {"core"},
    "explain": {"core"},
    "models": {"nn"},
    "tasks": {"data", "nn"},
    "report": {"core", "data", "tasks", "doctor"},
    "train": {"tasks", "models", "optim", "doctor", "report"},
    "recipes": {"train"},
    "improve": {"train"},
    "live": {"tasks", "models", "train.checkpoint", "train.rebuild"},
    "serve": {"tasks", "models", "explain", "train.checkpoint", "train.rebuild"},
}
# Above the rooms: these may import everything.
FREE = {"api", "cli", "studio", "__main__"}
# Finer than a room: the face may run only leaves; checkpoints are read, and the networks in them
# built again, where training is not.
MODULES: dict[str, set[str]] = {
    "__init__": {"core.errors", "version"},
    "version": set(),
    "train.checkpoint": {"core"},
    "train.rebuild": {"tasks", "models", "train.checkpoint"},
}
LEAVES = {"version"}  # whoever wants to may import these


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another, both without the package's name."""

    importer: str  # "train.loop"; a package is "train.__init__", the face is "__init__"
    target: str  # "core.events", or "__init__" for the face itself
    line: int
    late: bool  # inside a function, so not part of a cycle
    typing: bool  # under TYPE_CHECKING, so never run


def read(root: Path) -> dict[str, list[Import]]:
    """The folder of a package -> the imports of each of its modules."""
    files = sorted(root.rglob("*.py"))
    names = {_name(path, root): path for path in files}
    return {name: _imports(name, path, root.name, set(names)) for name, path in names.items()}


def wrong(root: Path) -> list[str]:
    """Every import that the table forbids, as 'file:line imports target'."""
    found = []
    for name, imports in read(root).items():
        allowed = _allowed(name)
        for one in imports:
            if not one.typing and allowed is not None and not _fits(one.target, allowed):
                file = name.replace(".", "/") + ".py"
                found.append(f"{file}:{one.line} imports {one.target}")
    return found


def cycles(root: Path) -> list[list[str]]:
    """Groups of modules that need one another while they are being imported."""
    graph = {
        name: {one.target for one in imports if not one.late and not one.typing}
        for name, imports in read(root).items()
    }
    return [group for group in _components(graph) if len(group) > 1]


def foreign(root: Path, room: str) -> set[str]:
    """The first names of all that a room imports from outside the package."""
    found: set[str] = set()
    for path in (root / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - {root.name}


def _allowed(name: str) -> set[str] | None:
    """What a module may import; None where it may import everything."""
    room = name.partition(".")[0]
    if name in MODULES:
        return _closed(MODULES[name]) | LEAVES
    if room in FREE:
        return None
    if room not in TABLE:
        return set(LEAVES)  # a room that is not in the table has yet to be given its place
    return {room} | _closed(TABLE[room]) | LEAVES


def _closed(rooms: set[str]) -> set[str]:
    """The rooms with all that they may import in turn."""
    whole = set(rooms)
    for room in rooms:
        whole |= _closed(TABLE.get(room, MODULES.get(room, set())))
    return whole


def _fits(target: str, allowed: set[str]) -> bool:
    return any(target == place or target.startswith(f"{place}.") for place in allowed)


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts)


def _imports(name: str, path: Path, package: str, names: set[str]) -> list[Import]:
    found = []
    for node, late, typing in _statements(path.read_text(encoding="utf-8")):
        for parts in _targets(node, name, package):
            target = _resolve(parts, names)
            if target is not None and target != name:
                found.append(Import(name, target, node.lineno, late, typing))
    return found


@cache
def _statements(text: str) -> list[tuple[ast.stmt, bool, bool]]:
    """Those of a file, read once for all that is asked of it."""
    return list(_walk(ast.parse(text), False, False))


def _walk(node: ast.AST, late: bool, typing: bool) -> Iterator[tuple[ast.stmt, bool, bool]]:
    """Every import statement, wherever it stands, and whether it runs at import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late, typing
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(ast.Module(child.body, []), late, True)
            yield from _walk(ast.Module(child.orelse, []), late, typing)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, late or inside, typing)


def _targets(node: ast.stmt, name: str, package: str) -> Iterator[list[str]]:
    """The dotted paths, without the package's name, that a statement asks for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first, *rest = alias.name.split(".")
            if first == package:
                yield rest
        return
    assert isinstance(node, ast.ImportFrom)
    base = node.module.split(".") if node.module else []
    if node.level:
        base = [*name.split(".")[: -node.level], *base]
    elif base[:1] == [package]:
        base = base[1:]
    else:
        return
    for alias in node.names:
        yield [*base, alias.name]


def _resolve(parts: list[str], names: set[str]) -> str | None:
    """The module that holds what is asked for: itself, its package, or the one that defines it."""
    for end in (len(parts), len(parts) - 1):
        if end >= 0:
            stem = parts[:end]
            for candidate in (".".join(stem), ".".join([*stem, "__init__"])):
                if candidate in names:
                    return candidate
    return ".".join(parts) or None


def _components(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components: two modules are in one if each reaches the other."""
    reach = {name: _reachable(name, graph) for name in graph}
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) | {a} for a in graph}
    return sorted(sorted(group) for group in groups)


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        new = graph.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen
