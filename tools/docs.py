"""Writes the catalogue parts of the pages from the code itself, so that they cannot lie.

A page marks such a part with <!-- NAME: written by make docs --> and <!-- end of NAME -->; BLOCKS
says who writes it. `python tools/docs.py` rewrites the pages; tests/test_docs.py compares.
"""

import contextlib
import dataclasses
import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, it finds its neighbour too
from tools import byhand_page, lessons_page, models_plot  # noqa: E402

PICTURE = ROOT / "docs" / "models.svg"
BLOCK = re.compile(
    r"(?P<head><!-- (?P<name>[a-z-]+): written by make docs -->\n)"
    r".*?"
    r"(?P<tail><!-- end of (?P=name) -->)",
    re.DOTALL,
)


def main() -> int:
    """Rewrite every page; prints those that changed."""
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = fresh(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    PICTURE.write_text(models_plot.svg(), encoding="utf-8")
    return 0


def pages() -> list[Path]:
    """The pages that people read."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def fresh(page: str) -> str:
    """The text of a page with each marked part as the code says it today.

    Help texts are 98 columns wide, and a user's own workshop is no part of the pages.
    """
    with mock.patch.dict(os.environ, COLUMNS="100", SNELLEN_PATH=""):
        return BLOCK.sub(lambda m: f"{m['head']}\n{BLOCKS[m['name']]()}\n\n{m['tail']}", page)


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows -> a Markdown table; a bar inside a cell is escaped."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads)]
    lines += [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def first_line(thing: Any) -> str:
    """The first line of a docstring."""
    return (thing.__doc__ or "").strip().splitlines()[0]


def code(words: Iterable[Any]) -> str:
    """Words as inline code, with commas between."""
    return ", ".join(f"`{word}`" for word in words)


def cli_help() -> str:
    """Every verb's own --help."""
    from snellen.__main__ import main as snellen
    from snellen.cli._verbs import snellen as group

    parts = []
    for verb in group.list_commands(None):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            snellen([verb, "--help"])
        lines = "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
        parts.append(f"## {verb}\n\n```text\n{lines}\n```")
    return "\n\n".join(parts)


def settings() -> str:
    """The recipe's fields."""
    from snellen.train.recipe import settings as fields

    rows = []
    for field in fields():
        choices, default = field.metadata["choices"], field.default
        text = field.metadata["help"] + (f": {code(choices)}" if choices else "")
        usual = "chosen" if default is None else f"`{_word(default)}`"
        rows.append((f"`{field.name}`", text, usual, code(field.metadata["aliases"])))
    return table(("setting", "what it is", "default", "also written"), rows)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def recipes() -> str:
    """The recipes and what they claim."""
    rows = []
    for name, recipe in _collect("snellen.recipes", "RECIPES").items():
        claim, said = recipe.expect, ""
        if claim:
            said = f"{claim.metric} {claim.score}, {claim.minutes:g} min, {claim.seeds} seeds"
        rows.append((f"`{name}`", recipe.data, recipe.model, said))
    return table(("recipe", "data", "model", "claims"), rows)


def checks() -> str:
    """A list of all checks, then each with all its facts."""
    from snellen.doctor.check import all_checks

    found = all_checks()
    parts = [table(("check", "level", "do"), [(f"[{id}](#{id})", check.level, check.do)
                                              for id, check in found.items()])]  # fmt: skip
    for id, check in found.items():
        parts.append(f"## {id}\n\n{check.level}. {first_line(check)}\n\n{_facts(check, found)}")
    return "\n\n".join(parts)


def _facts(check: Any, known: Iterable[str]) -> str:
    from snellen.doctor.explain import facts

    said = dict(facts(check))
    bad, good, explains = said.pop("bad"), said.pop("good"), said.pop("explains", "")
    lines = [f"- {name}: {words}" for name, words in said.items()]
    if explains:
        ids = [f"[{id}](#{id})" if id in known else id for id in explains.split(", ")]
        lines.append(f"- explains: {', '.join(ids)}")
    before = [f"- {line}" for line in bad.splitlines()]
    after = [f"+ {line}" for line in good.splitlines()]
    return "\n".join([*lines, "", "```diff", *before, *after, "```"])


def models() -> str:
    """One row for each different network, with the claims that the tests recount."""
    from snellen.models import describe, listing

    rows = []
    for name in listing():
        facts = describe(name)
        size = "x".join(map(str, facts["input"]))
        counts = (f"{facts['params']:,}", f"{facts['macs']:,}")
        top1 = f"{facts['top1']:.1f}" if facts["top1"] else ""
        whose = facts["top1_of"] or ""
        rows.append((f"`{name}`", facts["family"], *counts, size, top1, whose, facts["paper"]))
    heads = ("name", "family", "parameters", "multiply-adds", "input", "top-1", "of", "paper")
    return table(heads, rows)


def formats() -> str:
    """What the data sets may look like."""
    found = _collect("snellen.data.formats", "FORMATS")
    return table(("format", "what it looks like"), [(f"`{k}`", f.about) for k, f in found.items()])


def parts() -> str:
    """A table for each group of parts: where each is, and what it does."""
    from snellen.core.parts import catalogue

    said = []
    for group, found in catalogue().items():
        rows = [(name, code(part.where.split(", ")), part.about, part.notes)
                for name, part in found.items()]  # fmt: skip
        said.append(f"## {group}\n\n{table(('name', 'where', 'what', 'notes'), rows)}")
    return "\n\n".join(said)


def explanations() -> str:
    """The ways to look into a network, with their settings."""
    rows = []
    for name, kind in _collect("snellen.explain.methods", "METHODS").items():
        settings = [f"{field.name}={round(field.default, 4)}" for field in dataclasses.fields(kind)]
        rows.append((f"`{name}`", kind.about, code(settings), kind.needs, kind.source))
    return table(("method", "what it shows", "settings", "needs", "source"), rows)


def augments() -> str:
    """The augmentations."""
    found = _collect("snellen.data.augment", "AUGMENTS")
    return table(("word", "what it does"), [(f"`{k}`", a.about) for k, a in found.items()])


def tasks() -> str:
    """The tasks, with the metric that chooses the best epoch."""
    rows = [(f"`{name}`", task.about, task.score, f"`{task.default_model}`")
            for name, task in _collect("snellen.tasks", "TASKS").items()]  # fmt: skip
    return table(("task", "what is learned", "best epoch by", "usual model"), rows)


def events() -> str:
    """The kinds of the event log and their fields."""
    from snellen.core.events import KINDS

    return table(("kind", "fields"), [(f"`{kind}`", code(names)) for kind, names in KINDS.items()])


def exit_codes() -> str:
    """The errors of the Python face and what the command line ends with."""
    from snellen.core import errors

    kinds = [kind for kind in vars(errors).values()
             if isinstance(kind, type) and issubclass(kind, errors.SnellenError)]  # fmt: skip
    rows = [(kind.exit_code, f"`{kind.__name__}`", first_line(kind))
            for kind in sorted(kinds, key=lambda kind: kind.exit_code)]  # fmt: skip
    return table(("code", "error", "when"), rows)


def face() -> str:
    """The public names."""
    import snellen

    rows = [(f"`sn.{name}`", first_line(getattr(snellen, name)))
            for name in snellen.__all__ if not name.startswith("__")]  # fmt: skip
    return table(("name", "what it is"), rows)


def _collect(room: str, attribute: str) -> dict[str, Any]:
    registry = importlib.import_module("snellen.core.registry")
    return dict(sorted(registry.collect(room, attribute).items()))


BLOCKS: dict[str, Callable[[], str]] = {
    "verbs": cli_help,
    "settings": settings,
    "recipes": recipes,
    "checks": checks,
    "models": models,
    "formats": formats,
    "parts": parts,
    "augments": augments,
    "explanations": explanations,
    "tasks": tasks,
    "events": events,
    "exit-codes": exit_codes,
    "face": face,
    "byhand-contents": byhand_page.contents,
    "byhand": byhand_page.derivations,
    "lessons": lessons_page.lessons,
}

if __name__ == "__main__":
    sys.exit(main())
