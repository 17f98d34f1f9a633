"""`python examples/lessons [NAME] [--out FILE]`: lists the lessons, or measures and draws one.

A lesson is a file of this folder. `all` draws every one into a folder. FILE ends in .svg or .png.
"""

import argparse
import ast
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from snellen.core.errors import SnellenError, UnknownName, UsageError

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # run by its path, the folder is no package yet


def main(words: Sequence[str]) -> int:
    """Words of the command line -> exit code: 0, or 2 for what is not known."""
    parser = argparse.ArgumentParser(prog="lessons", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="a lesson, or all")
    parser.add_argument("--out", type=Path, help="the file (.svg or .png); of all: the folder")
    asked = parser.parse_args(words)
    try:
        if asked.name is None:
            print(listing())
        elif asked.name == "all":
            for name in lessons():
                draw(name, (asked.out or Path("lessons")) / f"{name}.svg")
        else:
            draw(asked.name, asked.out or Path(f"{asked.name}.svg"))
    except SnellenError as error:
        print(f"{error}; `python examples/lessons` lists them", file=sys.stderr)
        return error.exit_code
    return 0


def lessons() -> dict[str, str]:
    """Name -> title, in the order in which they are best read; nothing is run."""
    found = []
    for path in HERE.glob("[!_]*.py"):
        text = path.read_text(encoding="utf-8")
        order = re.search(r"^ORDER = (\d+)$", text, re.MULTILINE)
        title = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
        found.append((int(order[1]) if order else 0, path.stem, title))
    return {name: title for _, name, title in sorted(found)}


def load(name: str) -> ModuleType:
    """A lesson by its name. Raises UnknownName."""
    if name not in lessons():
        raise UnknownName(name, [*lessons(), "all"], "lessons")
    return importlib.import_module(f"lessons.{name}")


def listing() -> str:
    """The lessons, a line each."""
    lines = ["The notes' lessons as pictures: python examples/lessons NAME [--out FILE]", ""]
    lines += [f"  {name:16} {title}" for name, title in lessons().items()]
    return "\n".join(lines)


def draw(name: str, out: Path) -> None:
    """Measure a lesson, write its picture, print what it says.

    Raises UnknownName, UsageError for a file of another kind.
    """
    lesson = load(name)
    if out.suffix not in (".svg", ".png"):
        raise UsageError(f"--out {out}; a name that ends in .svg or .png is wanted")
    import torch

    from lessons import _paper
    from snellen.report import figure

    torch.set_num_threads(1)  # the same sums in the same order
    facts = lesson.measure()
    out.parent.mkdir(parents=True, exist_ok=True)
    drawn, caption = lesson.draw(facts), lesson.caption(facts)
    if out.suffix == ".svg":
        out.write_text(_paper.svg(drawn, caption), encoding="utf-8")
    else:
        out.write_bytes(figure.png(drawn))
    print(f"{out}: {caption}", flush=True)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
