"""/ : all runs of the folder, sortable; two or more that are ticked can be compared."""

from collections import Counter
from typing import Any

from ...core.words import duration
from ...doctor.finding import LEVELS
from ...report.section import table, text
from ..answer import Answer, Asked, page, quoted, scripts, url
from ..recorded import Recorded
from ..shelf import Shelf

TEXTS = ("run", "task", "model", "data", "status", "started")
COLUMNS = ("run", "task", "model", "data", "status", "epoch", "best score", "findings", "started",
           "took")  # fmt: skip


def runs(shelf: Shelf, asked: Asked) -> Answer:
    """The table, or what to do where there is nothing to show."""
    shown, refused = shelf.look()
    found = [Recorded(folder) for folder in shown.values()]
    by = asked.word("by", "started")
    by, is_down = by if by in COLUMNS else "started", asked.word("down", "1") == "1"
    found.sort(key=lambda run: _rank(run, by), reverse=is_down)
    body = _table(found, by, is_down) if found else _empty(shelf)
    said = "".join(f'<p class="failed">Not shown: {text(words)}.</p>' for words in refused)
    is_live = any(run.row["status"] == "running" for run in found)
    mark = '<div data-fresh="tbody"></div>' if is_live else ""
    title = f"Runs in {shelf.folder.name}"
    return page(title, f"{said}{body}{mark}", head=scripts("studio.js"))


def _rank(run: Recorded, by: str) -> tuple[bool, Any]:
    """What a column sorts by; what is not known is less than all that is."""
    if by in TEXTS:
        word = run.key if by == "run" else str(run.row[by] or "")
        return bool(word), word
    counts = _levels(run) or Counter()
    done = str(run.row["epochs"]).partition("/")[0]
    value = {
        "epoch": int(done) if done.isdecimal() else None,
        "best score": _score(run),
        "findings": tuple(counts[level] for level in reversed(LEVELS)),
        "took": run.row["seconds"],
    }[by]
    return value is not None, 0 if value is None else value


def _score(run: Recorded) -> float | None:
    return next((value for name, value in run.row["metrics"].items() if name != "loss"), None)


def _levels(run: Recorded) -> "Counter[str] | None":
    """How many findings of each level; None where they are damaged."""
    try:
        return Counter(finding.level for finding in run.findings or ())
    except Exception:  # in whatever way; the run's own page says so
        return None


def _table(found: list[Recorded], by: str, is_down: bool) -> str:
    head = ["", *(_heading(name, by, is_down) for name in COLUMNS)]
    return (
        '<form action="/compare"><p><button>Compare the ticked runs</button></p>'
        f"{table(head, [_cells(run) for run in found], 'runs', 'wide')}</form>"
    )


def _heading(name: str, by: str, is_down: bool) -> str:
    mark = f" <span>{'▼' if is_down else '▲'}</span>" if name == by else ""
    address = quoted(by=name, down="0" if name == by and is_down else "1")
    return f'<a href="/?{address}">{name}</a>{mark}'


def _cells(run: Recorded) -> list[str]:
    row, name, counts = run.row, text(run.key), _levels(run)
    found = "damaged" if counts is None else ", ".join(
        f"{counts[level]} {level}" for level in reversed(LEVELS) if counts[level])  # fmt: skip
    return [
        f'<input type="checkbox" name="run" value="{name}" aria-label="compare {name}">',
        f'<a href="{url("run", run.key)}">{name}</a>',
        *(text(row[column] or "") for column in ("task", "model", "data")),
        f'<span class="{text(run.status.partition(" ")[0])}">{text(run.status)}</span>',
        *(text(words) for words in (row["epochs"], row["best"], found, row["started"])),
        text("" if row["seconds"] is None else duration(row["seconds"])),
    ]


def _empty(shelf: Shelf) -> str:
    folder = text(shelf.folder)
    return (
        f"<p>There is no run in <code>{folder}</code> yet. This makes the first:</p>"
        "<pre>snellen train digits</pre><p>Then load this page again.</p>"
    )


PAGES = {"/": runs}
