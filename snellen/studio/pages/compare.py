"""/compare?run=A&run=B : curves of several runs over each other, and the settings that differ."""

from typing import Any

from ...core.errors import UsageError
from ...report.section import table, text
from ..answer import Answer, Asked, page, scripts, url
from ..recorded import Recorded
from ..sections.curves import drawing
from ..shelf import Shelf
from .run import DRAWING

MOST = 12  # runs side by side


def compare(shelf: Shelf, asked: Asked) -> Answer:
    """The drawings first, then scores, then differences."""
    names = list(dict.fromkeys(asked.words.get("run", ())))
    if len(names) < 2 or len(names) > MOST:
        raise UsageError(f"{len(names)} runs are ticked; tick 2 to {MOST} in the list of runs")
    runs = [Recorded(shelf.find(name)) for name in names]
    links = [f'<a href="{url("run", run.key)}">{text(run.key)}</a>' for run in runs]
    scores = _rows([run.row["metrics"] for run in runs])
    settings = _rows([_settings(run) for run in runs], differing=True)
    body = (
        f"<section><h2>Curves</h2>{drawing(runs)}</section>"
        f"<section><h2>Scores of the best epoch</h2>{_table(links, scores, 'scores')}</section>"
        "<section><h2>Settings in which they differ</h2>"
        f"{_table(links, settings, 'settings')}</section>"
    )
    return page(" and ".join(run.key for run in runs), body, head=scripts(*DRAWING))


def _settings(run: Recorded) -> dict[str, Any]:
    """Settings and machine under one set of names."""
    machine = {f"machine: {name}": value for name, value in run.environment.items()}
    return {**run.part("recipe", dict), **machine}


def _rows(facts: list[dict[str, Any]], differing: bool = False) -> list[list[str]]:
    """A row a name, a column a run; only those rows that differ where that is asked for."""
    rows = []
    for name in dict.fromkeys(name for one in facts for name in one):
        words = [_word(one.get(name)) for one in facts]
        if not differing or len(set(words)) > 1:
            rows.append([text(name), *map(text, words)])
    return rows


def _table(links: list[str], rows: list[list[str]], label: str) -> str:
    return table(["", *links], rows, label) if rows else "<p>None.</p>"


def _word(value: Any) -> str:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


PAGES = {"/compare": compare}
