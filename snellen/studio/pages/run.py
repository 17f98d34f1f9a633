"""/run/NAME : one run, its findings first; and the curves of it as JSON, from a place on."""

from ...core.follow import follow
from ...core.words import duration
from ...report.section import text
from ..answer import Answer, Asked, as_json, page, scripts, url
from ..curves import KINDS, panels
from ..recorded import Recorded
from ..section import all_sections, build
from ..shelf import Shelf

DRAWING = ("plotly.js", "studio.js")


def run(shelf: Shelf, asked: Asked) -> Answer:
    """The sections of a run under a line that says how it stands."""
    one = Recorded(shelf.find(asked.path["run"]))
    parts = [build(name, section, one) for name, section in all_sections().items()]
    mark = '<div data-fresh=".tiles #log"></div>' if one.row["status"] == "running" else ""
    return page(one.key, f"{_standing(one)}{''.join(parts)}{mark}", head=scripts(*DRAWING))


def _standing(one: Recorded) -> str:
    """What, how far, how well, how long; and the way to the report."""
    row = one.row
    facts = [
        ("status", one.status),
        ("best", row["best"]),
        ("epoch", row["epochs"]),
        ("model", row["model"]),
        ("data", row["data"]),
        ("started", row["started"]),
        ("took", "" if row["seconds"] is None else duration(row["seconds"])),
    ]
    tiles = [f"<div><dt>{k}</dt><dd>{text(v)}</dd></div>" for k, v in facts if v]
    link = ""
    if one.folder.report.is_file():
        link = f'<p><a href="{url("run", one.key, "report")}">report.html</a></p>'
    return f'<dl class="tiles">{"".join(tiles)}</dl>{link}'


def curves(shelf: Shelf, asked: Asked) -> Answer:
    """{"panels": {what: {where: [steps, values]}}, "place", "anew", "more", "running", "note"}.

    `place` goes back into the next question, which is answered with what came since.
    """
    folder = shelf.find(asked.path["run"])
    one = Recorded(folder)
    if not folder.events.is_file():
        return as_json({"panels": {}, "place": "", "anew": True, "more": False,
                        "running": False, "note": "There is no event log."})  # fmt: skip
    news = follow(folder.events, asked.word("at"), KINDS)
    note = f"{news.damaged} damaged lines of the event log are left out." if news.damaged else ""
    return as_json({
        "panels": panels(news.events), "place": news.place, "anew": news.anew, "more": news.more,
        "running": one.row["status"] == "running", "note": note,
    })  # fmt: skip


PAGES = {"/run/{run}": run, "/run/{run}/curves": curves}
