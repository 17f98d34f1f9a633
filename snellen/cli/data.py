"""`snellen data`: what a data set is; write it in another format."""

from collections import Counter
from typing import Any

import click

from ..core.errors import UsageError
from ._output import print_json, print_table
from ._verbs import HELP, Verb


@click.command(cls=Verb, context_settings=HELP)
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--to", "format", metavar="coco|voc|yolo|csv", help="Write it in this format.")
@click.option("--out", "folder", metavar="FOLDER", help="Where --to writes; a new folder.")
@click.argument("beside", metavar="[FOLDER]", required=False)
def command(
    path: str, as_json: bool, format: str | None, folder: str | None, beside: str | None
) -> None:
    """Say what a data set is, or convert it.

    The format of what lies at PATH, its parts, its classes and what was noticed on opening it.
    With --to and a FOLDER the boxes are written in another format, pictures linked where the disk
    allows it and else copied; nothing that is there is changed.
    """
    folder = folder or beside
    if (format is None) != (folder is None) or (beside and folder != beside):
        raise UsageError("--to and one FOLDER go together: snellen data pets/ --to coco pets_coco")
    from ..data.open import open_path

    source = open_path(path)
    if format and folder:
        from ..data.convert import convert

        for line in convert(source, format, folder):
            click.echo(line, err=True)
    facts = describe(source)
    if as_json:
        print_json(facts, 1)
        return
    for key in ("name", "format", *facts["facts"]):
        click.echo(f"{key:<10} {facts.get(key, facts['facts'].get(key))}")
    parts = facts["parts"]
    rows = [["all", *(part["samples"] for part in parts.values())]]
    rows += [[c, *(part["labels"][c] if "labels" in part else "" for part in parts.values())]
             for c in facts["classes"]]  # fmt: skip
    print_table(["class", *parts], rows)
    for problem in facts["problems"]:
        line = f":{problem['line']}" if problem["line"] else ""
        click.echo(f"{problem['file'] or path}{line}: {problem['message']}")
    if folder:
        click.echo(f"written as {format}: {folder}")


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
    from ..data.relabel import every_label

    facts: dict[str, Any] = {"samples": len(part)}
    labels = every_label(part)
    if labels is not None:
        counts = Counter(labels.tolist())
        facts["labels"] = {name: counts.get(i, 0) for i, name in enumerate(classes)}
    return facts
