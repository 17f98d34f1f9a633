"""The page of the lessons, from their docstrings and from what their pictures say.

A picture holds its sentence as `aria-label`; `make lessons` measures and draws them all again.
"""

import ast
import html
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "lessons"
PICTURES = ROOT / "docs" / "lessons"


def lessons() -> str:
    """Every lesson: title, picture, what was measured, what it shows, its command."""
    return "\n\n".join(_lesson(path) for path in sorted(FOLDER.glob("[!_]*.py"), key=_order))


def said(name: str) -> str:
    """The sentence that a lesson's picture holds; empty where it is not drawn yet."""
    picture = PICTURES / f"{name}.svg"
    drawn = picture.read_text(encoding="utf-8") if picture.exists() else ""
    found = re.search(r'aria-label="([^"]*)"', drawn)
    return html.unescape(found[1]) if found else ""


def _lesson(path: Path) -> str:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title, _, text = words.partition("\n\n")
    name = path.stem
    return (
        f"## {title.partition(': ')[0]}\n\n{title.partition(': ')[2].capitalize()}\n\n"
        f"![{title.rstrip('.')}](lessons/{name}.svg)\n\n{said(name)}\n\n{text.strip()}\n\n"
        f"Draw it: `python examples/lessons {name}`"
    )


def _order(path: Path) -> int:
    found = re.search(r"^ORDER = (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return int(found[1]) if found else 0
