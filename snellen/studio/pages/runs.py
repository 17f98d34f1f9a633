"""/ : all runs of the folder, sortable; two or more that are ticked can be compared."""

import time
from collections import Counter
from typing import Any

from ...core.words import duration
from ...doctor.finding import LEVELS
from ...report.section import table, text
from ..answer import Answer, Asked, page, quoted, scripts, url
from ..recorded import Recorded
from ..shelf import Shelf

COLUMNS = {  # heading -> what is sorted by
    "run": "run", "task": "task", "model": "model", "data": "data", "status": "status",
    "epoch": "epoch", "best score": "score", "findings": "findings", "started": "started",
    "took": "seconds",
}  # fmt: skip
QUIET = 900.0  # seconds without a word; Snellen writes every minute


def runs(shelf: Shelf, asked: Asked) -> Answer:
    """The table, or what to do where there is nothing to show."""
    shown, refused = shelf.look()
    rows = [_row(Recorded(folder)) for folder in shown.values()]
    notes = [f"Not shown: {words}." for words in refused]
    by = asked.word("by", "started")
    by = by if by in COLUMNS.values() else "started"
    down = asked.word("down", "1") == "1"
    rows.sort(key=lambda row: (row[by] is not None and row[by] != "", row[by] or 0)
              if by in ("score", "seconds", "epoch") else (True, str(row[by] or "")),
              reverse=down)  # fmt: skip
    head = ["", *(_heading(words, name, by, down) for words, name in COLUMNS.items())]
    body = _empty(shelf) if not rows else (
        f'<form action="/compare"><p><button>Compare the ticked runs</button></p>'
        f'{table(head, [_cells(row) for row in rows], "runs", "wide")}</form>'
    )  # fmt: skip
    said = "".join(f'<p class="failed">{text(note)}</p>' for note in notes)
    is_live = any(row["status"] == "running" for row in rows)
    mark = '<div data-fresh="5"></div>' if is_live else ""
    title = f"Runs in {shelf.folder.name}"
    return page(title, f"{said}{body}{mark}", head=scripts("studio.js"))


def _row(run: Recorded) -> dict[str, Any]:
    row = run.row
    metrics = [(k, v) for k, v in row["metrics"].items() if k != "loss"]
    silent = time.time() - run.silent
    is_silent = row["status"] == "running" and silent > QUIET
    return {
        **row,
        "run": run.key,
        "epoch": int(row["epochs"].partition("/")[0]) if row["epochs"][0].isdecimal() else 0,
        "score": metrics[0][1] if metrics else None,
        "findings": _levels(run),
        "silent": duration(silent) if is_silent else "",
    }


def _levels(run: Recorded) -> str:
    """How many findings of each level; the gravest stands first, so that they sort."""
    try:
        counts = Counter(finding.level for finding in run.findings or ())
    except Exception:  # damaged in whatever way; the run's own page says so
        return "damaged"
    return ", ".join(f"{counts[level]} {level}" for level in reversed(LEVELS) if counts[level])


def _heading(words: str, name: str, by: str, down: bool) -> str:
    mark = ("▼" if down else "▲") if name == by else ""
    address = quoted(by=name, down="0" if name == by and down else "1")
    return f'<a href="/?{address}">{words}</a>{mark and f" <span>{mark}</span>"}'


def _cells(row: dict[str, Any]) -> list[str]:
    name = text(row["run"])
    status = f"silent for {row['silent']}: killed?" if row["silent"] else row["status"]
    kind = row["status"].partition(" ")[0]
    return [
        f'<input type="checkbox" name="run" value="{name}" aria-label="compare {name}">',
        f'<a href="{url("run", row["run"])}">{name}</a>',
        *(text(row[name] or "") for name in ("task", "model", "data")),
        f'<span class="{text(kind)}">{text(status)}</span>',
        text(row["epochs"]),
        text(row["best"]),
        text(row["findings"]),
        text(row["started"]),
        text("" if row["seconds"] is None else duration(row["seconds"])),
    ]


def _empty(shelf: Shelf) -> str:
    folder = text(shelf.folder)
    return (
        f"<p>There is no run in <code>{folder}</code> yet. This makes the first:</p>"
        "<pre>snellen train digits</pre><p>Then load this page again.</p>"
    )


PAGES = {"/": runs}
