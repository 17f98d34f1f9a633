"""Loss and metrics as they grow: drawn by the script, and as a table without it."""

import csv
import json
from collections import defaultdict

from ...core.words import number
from ...report.section import table, text
from ..answer import url
from ..recorded import Recorded
from ..section import Section

EPOCHS = 30  # rows of the table


def build(run: Recorded) -> str:
    """A place for the drawings, and the last epochs in numbers."""
    picture = ""
    if "curves.png" in run.plots():
        source = url("run", run.key, "plots", "curves.png")
        picture = f'<noscript><img class="plot" src="{source}" alt="curves by epoch"></noscript>'
    return f"{drawing([run])}{picture}{_table(run)}"


def drawing(runs: list[Recorded]) -> str:
    """Where the script draws: it reads the names of the runs and their addresses here."""
    told = json.dumps([[run.key, url("run", run.key, "curves")] for run in runs])
    return (
        f'<div data-runs="{text(told)}"><p class="soft" role="status">'
        "<noscript>Drawings need JavaScript.</noscript></p></div>"
    )


def _table(run: Recorded) -> str:
    """metrics.csv, a row an epoch: its last ones."""
    rows: dict[int, dict[str, str]] = defaultdict(dict)
    for line in csv.reader(run.tail(run.folder.metrics)):
        if len(line) == 5 and line[1].isdecimal():
            rows[int(line[1])][f"{line[2]} {line[3]}"] = _short(line[4])
    names = sorted({name for row in rows.values() for name in row}, key=_order)
    if not rows:
        return ""
    last = sorted(rows)[-EPOCHS:]
    cells = [[text(e), *(text(rows[e].get(name, "")) for name in names)] for e in last]
    body = table(["epoch", *map(text, names)], cells, "metrics by epoch", "wide")
    words = f"The last {len(last)} epochs in numbers" if len(last) > 1 else "In numbers"
    return f"<details><summary>{words}</summary>{body}</details>"


def _order(name: str) -> tuple[bool, str, str]:
    split, _, what = name.partition(" ")
    return what != "loss", what, split


def _short(word: str) -> str:
    try:
        return number(float(word))
    except ValueError:
        return word


SECTIONS = {"curves": Section("Curves", 20, build)}
