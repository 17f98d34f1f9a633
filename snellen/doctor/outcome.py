"""What a watched script came to: its findings on the terminal and in files.

Nothing here costs the script its exit code: a report that cannot be written is a note on stderr.
"""

import json as notation
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from .finding import Finding
from .ward import Closed, Ward, told
from .watch import Doctor


@dataclass
class Outcome:
    """A script that has ended, and the doctor who watched it."""

    script: str
    argv: tuple[str, ...]
    doc: Doctor  # of the training with the first finding
    ward: Ward
    more: dict[str, Any] = field(default_factory=dict)  # added to the JSON

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the likeliest root first."""
        return told(self.trainings, self.ward.ignore)

    @cached_property
    def trainings(self) -> list[Closed]:
        """What each training came to."""
        return self.ward.outcomes()

    def guarded(self, work: Callable[..., Any], *args: Any) -> None:
        """Call `work`; what it returns joins the JSON, what it raises is said on stderr."""
        try:
            self.more |= work(*args) or {}
        except Exception as error:
            print(f"note: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


Then = Callable[[Outcome], dict[str, Any] | None]


STDOUT = "-"  # as a file's name


def print_outcome(outcome: Outcome, file: TextIO | None = None) -> None:
    """The findings, after the script's own output; to stdout unless a file is given."""
    from .report import text

    def say() -> None:
        sys.stdout.flush()
        doc, found, every = outcome.doc, outcome.findings, outcome.trainings
        steps = sum(training.chart.step for training in every)
        notes = list(dict.fromkeys(note for training in every for note in training.notes))
        said = text(found, steps=steps, notes=notes, ignored=doc.ignored)
        print(said, file=file, flush=True)

    outcome.guarded(say)


def write_outcome(outcome: Outcome, json: str | Path | None, sarif: str | Path | None) -> None:
    """The files that were asked for; `-` is stdout."""
    from ..core.files import write_json
    from .report import document
    from .sarif import write_sarif

    found, ignored = outcome.findings, outcome.doc.ignored
    if json:
        value = document(found, ignored) | outcome.more
        if str(json) == STDOUT:
            outcome.guarded(print_json, value)
        else:
            outcome.guarded(write_json, Path(json), value)
    if sarif:
        outcome.guarded(write_sarif, Path(sarif), found, ignored)


def print_json(value: dict[str, Any]) -> None:
    """JSON to stdout; NaN becomes the string 'nan'."""
    from ..core.events import spelled

    print(notation.dumps(spelled(value), indent=2), flush=True)
