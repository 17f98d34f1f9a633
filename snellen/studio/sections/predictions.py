"""The predictions that the network is least sure of, and those it is surest of, as pictures."""

from pathlib import PurePath

from ...report.section import table, text
from ..answer import quoted, url
from ..recorded import Recorded
from ..section import Section

SHOWN = 12
BOX = ("x1", "y1", "x2", "y2")


def build(run: Recorded) -> str:
    """Both ends of predictions.csv by score."""
    low, high = run.extremes(SHOWN)
    if not low:
        return ""
    note = '<p class="soft">Of the best weights, on the validation part. What was wrong among '
    note += "them is in the report, which knows the truth.</p>"
    return f"{note}<h3>Least sure</h3>{_cards(run, low)}<h3>Surest</h3>{_cards(run, high)}"


def _cards(run: Recorded, rows: list[dict[str, str]]) -> str:
    """Pictures, or a table where the data are no files, or are no longer there."""
    if not any(run.picture(row["file"]) for row in rows):
        cells = [[text(row["file"]), text(row.get("label")), text(row["score"])] for row in rows]
        head = ["file" if "." in rows[0]["file"] else "sample", "prediction", "score"]
        return table(head, cells, "predictions")
    return f'<ul class="cards">{"".join(_card(run, row) for row in rows)}</ul>'


def _card(run: Recorded, row: dict[str, str]) -> str:
    file, label = row["file"], row.get("label") or ""
    box = ",".join(row.get(name) or "" for name in BOX)
    words = {"file": file, **({"box": box} if len(box) > len(BOX) else {})}
    source = f"{url('run', run.key, 'picture')}?{quoted(**words)}"
    picture = f'<img src="{source}" loading="lazy" alt="{text(label)}">'
    name = f'<span class="soft" title="{text(file)}">{text(PurePath(file).name)}</span>'
    shown = picture if run.picture(file) else '<span class="soft">no picture there</span><br>'
    return f"<li>{shown}{text(label)} {float(row['score']):.3g}<br>{name}</li>"


SECTIONS = {"predictions": Section("Predictions", 40, build)}
