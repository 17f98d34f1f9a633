"""Findings in words: a terminal, a notebook or report page, and JSON. Judges nothing.

`write_sarif` (for code review tools) and `explain` (what a check says of itself) live beside it.
"""

import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any

from ..core import files
from ..core.events import spelled
from ..core.words import printable
from .explain import explain as explain
from .finding import Finding
from .sarif import write_sarif as write_sarif
from .told import facts_of

WIDTH = 96
COLOURS = {"error": "bold red", "warning": "yellow", "advice": "cyan"}
INKS = {"error": "#b3261e", "warning": "#9a6700", "advice": "#0b6e99"}


def text(
    findings: Sequence[Finding],
    *,
    steps: int | None = None,
    notes: Sequence[str] = (),
    ignored: Sequence[Finding] = (),
) -> str:
    """Findings -> plain lines, root first, its symptoms in one line each.

    >>> print(text([Finding("lr-too-high", "error", "the loss rose to 4e7", do="lr=0.01")]))
    1. error lr-too-high (sure to 90 %)
       seen     the loss rose to 4e7
       do       lr=0.01
    >>> print(text([], steps=300))
    the doctor found nothing wrong in 300 steps
    """
    blocks = [_block(number, finding) for number, finding in enumerate(findings, 1)]
    said = "\n".join(blocks) if blocks else _nothing(steps)
    lines = [said, *(f"note: {note}" for note in [*map(_silent, ignored), *notes])]
    return printable("\n".join(lines), keep="\n")


def show(findings: Sequence[Finding], *, steps: int | None = None, file: Any = None) -> None:
    """Print the report; in colour where `file` (stderr unless given) is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file or sys.stderr, soft_wrap=True, highlight=False)
    coloured = Text(text(findings, steps=steps))
    for level, style in COLOURS.items():
        coloured.highlight_regex(rf"(?m)^\d+\. {level} \S+", style)
    console.print(coloured)


def html(
    findings: Sequence[Finding],
    *,
    steps: int | None = None,
    ignored: Sequence[Finding] = (),
    pictures: Callable[[Finding], str] = lambda finding: "",
) -> str:
    """Findings -> one self-contained fragment, every word of theirs escaped.

    `pictures` gives the HTML that shows a finding's samples.

    >>> html([Finding("a", "error", "<b>")]).count("&lt;b&gt;")
    1
    """
    cards = [_card(finding, pictures(finding)) for finding in findings]
    said = "".join(cards) or f"<p>{escape(_nothing(steps))}</p>"
    silent = "".join(f"<p>note: {escape(_silent(finding))}</p>" for finding in ignored)
    return f'<div class="snellen-doctor">{said}{silent}</div>'


def document(findings: Sequence[Finding], ignored: Sequence[Finding] = ()) -> dict[str, Any]:
    """Findings -> what findings.json holds; numbers that JSON lacks become words.

    Checks that were ignored stand beside them, with an empty message where they had none.

    >>> document([])
    {'version': 1, 'findings': []}
    """
    said: dict[str, Any] = {"version": 1, "findings": [spelled(f.as_dict()) for f in findings]}
    return {**said, "ignored": [spelled(f.as_dict()) for f in ignored]} if ignored else said


def write_json(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings.json, all of it or nothing."""
    files.write_json(Path(path), document(findings))


def _silent(finding: Finding) -> str:
    return f"{finding.id} is ignored: {finding.message or 'it had nothing to say'}"


def _nothing(steps: int | None) -> str:
    if steps == 0:
        return "the doctor saw no step of an optimiser, so nothing was judged"
    return "the doctor found nothing wrong" + (f" in {steps} steps" if steps is not None else "")


def _block(number: int, finding: Finding) -> str:
    sure = f"(sure to {finding.confidence:.0%})".replace("%", " %")
    lines = [f"{number}. {finding.level} {finding.id} {sure}"]
    for name, words in facts_of(finding):
        first, *rest = wrap(words, WIDTH - 12, break_long_words=False) or [""]
        lines.append(f"   {name:<8} {first}")
        lines += [" " * 12 + line for line in rest]
    lines += [f"   so also  {s.id}: {s.message}" for s in finding.symptoms]
    return "\n".join(lines)


def _card(finding: Finding, pictures: str) -> str:
    ink = INKS.get(finding.level, "#333")
    rows = [*facts_of(finding), *(("so also", f"{s.id}: {s.message}") for s in finding.symptoms)]
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding-right:1em;font-weight:500">'
        f"{escape(name)}</th><td>{escape(words)}</td></tr>"
        for name, words in rows
    )
    head = f"{finding.level} · {finding.id} · sure to {finding.confidence:.0%}"
    return (
        f'<section style="border-left:4px solid {ink};padding:.2em 1em;margin:.6em 0">'
        f'<h4 style="margin:.2em 0;color:{ink}">{escape(head)}</h4>'
        f"<table>{cells}</table>{pictures}</section>"
    )
