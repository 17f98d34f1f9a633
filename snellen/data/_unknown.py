"""What to say of a path that no format can open: what is there, and what was perhaps meant."""

from collections.abc import Mapping
from pathlib import Path

from ..core.errors import nearest, shortlist
from ..core.runfolder import MARK
from .images import is_image_name
from .source import Format


def unknown(word: str, path: Path, formats: Mapping[str, Format]) -> str:
    """A word, its path, the formats by name -> the message, in one line."""
    if not path.exists():
        return _missing(word, path, formats)
    words = ", ".join(sorted(formats))
    if path.is_file():
        if is_image_name(path.name):
            return f"{word} is one picture; give the folder that holds a folder for each class"
        return f"{word} is a file that no format knows; the formats are {words}"
    names = sorted(p.name + "/" * p.is_dir() for p in path.iterdir())
    if not names:
        return f"{word} is empty; a folder of pictures for each class is wanted there"
    loose = [name for name in names if is_image_name(name)]
    if loose:
        return (
            f"{word} holds {len(loose)} pictures and no folder of them; "
            "make a folder for each class and move them there"
        )
    return (
        f"{word} holds {shortlist(names, 5)}, which no format knows; the usual is a folder of "
        f"pictures for each class; the formats are {words}"
    )


def of_runs(path: Path) -> bool:
    """Whether a folder is a run, or holds nothing but runs: plots are no pictures to learn from.

    >>> of_runs(Path("/no/such/folder"))
    False
    """
    if not path.is_dir():
        return False
    return _is_run(path) or (any(path.iterdir()) and all(map(_is_run, path.iterdir())))


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (MARK, "events.jsonl"))


def _missing(word: str, path: Path, formats: Mapping[str, Format]) -> str:
    generated = [name for name, format in formats.items() if format.detect(Path(name))]
    near = nearest(word, generated, 1) if path.name == word else []
    parent = path.parent
    while not parent.is_dir():
        parent = parent.parent
    there = sorted(p.name for p in parent.iterdir() if not p.name.startswith("."))
    near += nearest(path.relative_to(parent).parts[0], there, 3)
    if near:
        return f"no data at {word!r}; did you mean {', '.join(near)}?"
    return (
        f"no data at {word!r}; {parent.resolve()} holds {shortlist(there, 5) or 'nothing'}; "
        f"words that need no file: {', '.join(generated)}"
    )
