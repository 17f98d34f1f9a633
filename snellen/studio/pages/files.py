"""Files: the report and the plots of a run, pictures of its data, and the studio's own."""

import io
from pathlib import Path

from ...core.errors import DataError
from ...report.page import POLICY as REPORT
from ..answer import Answer, Asked
from ..assets import KINDS, asset
from ..recorded import Recorded
from ..shelf import Shelf

SIDE = 448  # of a picture of the data, in pixels
DAY = 86_400


def report(shelf: Shelf, asked: Asked) -> Answer:
    """report.html, under its own policy and in a sandbox: it needs no script, and gets none."""
    path = shelf.find(asked.path["run"]).report
    if not path.is_file():
        raise DataError("there is no report.html; it is written when a training ends")
    return Answer(path.read_bytes(), policy=f"{REPORT}; sandbox")


def plot(shelf: Shelf, asked: Asked) -> Answer:
    """A picture of plots/."""
    run = Recorded(shelf.find(asked.path["run"]))
    if asked.path["name"] not in run.plots():
        raise DataError(f"there is no plot {asked.path['name']!r} in {run.key}")
    return Answer((run.folder.plots / asked.path["name"]).read_bytes(), "image/png")


def picture(shelf: Shelf, asked: Asked) -> Answer:
    """A picture of the run's data, read and written anew, so that nothing but pixels goes out."""
    path = Recorded(shelf.find(asked.path["run"])).picture(asked.word("file"))
    if path is None:
        raise DataError(f"no picture {asked.word('file')!r} in the folders of the run's data")
    return Answer(_small(path, asked.word("box")), "image/png")


def static(shelf: Shelf, asked: Asked) -> Answer:
    """The studio's style and script, and plotly's."""
    name = asked.path["name"]
    return Answer(asset(name), f"{KINDS[Path(name).suffix]}; charset=utf-8", seconds=DAY)


def _small(path: Path, box: str) -> bytes:
    """A picture's file -> a small PNG; with a box x1,y1,x2,y2 in its pixels where one is given."""
    from PIL import Image, ImageDraw

    try:
        with Image.open(path) as image:
            shown = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path.name} cannot be read as a picture: {error}") from error
    if sides := _numbers(box):
        width = max(1, max(shown.size) // 150)
        ImageDraw.Draw(shown).rectangle(sides, outline=(255, 120, 0), width=width)
    shown.thumbnail((SIDE, SIDE))
    sink = io.BytesIO()
    shown.save(sink, "PNG")
    return sink.getvalue()


def _numbers(box: str) -> list[float]:
    try:
        x1, y1, x2, y2 = map(float, box.split(","))
    except ValueError:
        return []
    return [x1, y1, x2, y2] if x1 <= x2 and y1 <= y2 and max(x2, y2) < 1e6 else []


PAGES = {
    "/run/{run}/report": report,
    "/run/{run}/plots/{name}": plot,
    "/run/{run}/picture": picture,
    "/static/{name}": static,
}
