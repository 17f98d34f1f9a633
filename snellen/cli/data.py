"""`snellen data`: what a data set is."""

from collections import Counter
from typing import Any

import click

from ..core.words import printable
from ._output import print_json, print_table
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(path: str, as_json: bool) -> None:
    """Say what a data set is.

    The format of what lies at PATH, its parts, its classes and what was noticed on opening it.
    """
    from ..data.open import open_path

    facts = describe(open_path(path))
    if as_json:
        print_json(facts, 1)
        return
    for key in ("name", "format", *facts["facts"]):
        click.echo(printable(f"{key:<10} {facts.get(key, facts['facts'].get(key))}"))
    parts = facts["parts"]
    counts = {name: part.get("labels", {}) for name, part in parts.items()}
    rows = [["all", *(part["samples"] for part in parts.values())]]
    rows += [[c, *(counts[p].get(c, 0) for p in parts)] for c in facts["classes"]]
    print_table(["class", *parts], rows)
    for problem in facts["problems"]:
        click.echo(printable(f"{problem['file'] or path}: {problem['message']}"))


def describe(source: Any) -> dict[str, Any]:
    """A Source as plain values."""
    parts = {name: getattr(source, name) for name in ("train", "val", "test")}
    return {
        "name": source.name,
        "format": source.format,
        "classes": list(source.classes),
        "parts": {k: _part(v, source.classes) for k, v in parts.items() if v is not None},
        "facts": source.facts,
        "problems": [problem.as_dict() for problem in source.problems],
    }


def _part(part: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    labels = part.labels()
    facts: dict[str, Any] = {"samples": len(part)}
    if labels is not None:
        counts = Counter(labels.tolist())
        facts["labels"] = {name: counts.get(i, 0) for i, name in enumerate(classes)}
    return facts
