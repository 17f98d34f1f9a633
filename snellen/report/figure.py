"""Drawings that follow the page's light or dark: matplotlib's SVG with the page's own colours.

matplotlib is imported when something is drawn, and without pyplot, whose state a user's own
figures may live in. What stands in a drawing as words is never read as mathematics.
"""

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .section import text

COLOURS = {  # as drawn in plots/*.png (on white) -> as named in the page's style
    "#1c2430": "var(--ink)",
    "#5c6675": "var(--soft)",
    "#e3e6ea": "var(--line)",
    "#2f6fb3": "var(--blue)",
    "#c8641b": "var(--orange)",
}
INK, SOFT, LINE, BLUE, ORANGE = COLOURS


def new(width: float, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    """An empty figure (inches) and its axes in a row, drawn in the page's manner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.set_facecolor("none")
        ax.tick_params(colors=SOFT, length=0, labelsize=9)
        for side in ax.spines.values():
            side.set_visible(False)
    return figure, list(axes)


def svg(figure: Any, alt: str) -> str:
    """A figure -> inline SVG that a screen reader can name; words stay words."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    sink = io.StringIO()
    figure.set_facecolor("none")
    words = matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": alt})
    with words, _any_script():
        FigureCanvasSVG(figure).print_svg(sink, metadata={"Date": None})
    figure.set_layout_engine("none")  # laid out once: in `png` all keeps its place
    drawn = sink.getvalue()
    body = drawn[drawn.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, count=1, flags=re.S)
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 system-ui, sans-serif", body)
    for colour, name in COLOURS.items():
        body = body.replace(colour, name)
    size = re.search(r'viewBox="[^"]*"', body)
    head = f'<svg role="img" aria-label="{text(alt)}" {size[0] if size else ""}'
    head += ' xmlns:xlink="http://www.w3.org/1999/xlink">'
    return head + _own_names(body[body.index(">") + 1 :], f"d{zlib.crc32(alt.encode()):x}-")


def _own_names(body: str, prefix: str) -> str:
    """Ids that are used get a name of this drawing alone; the others go."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", body)
    return re.sub(r'(url\(|href=")#', rf"\1#{prefix}", body)


def png(figure: Any) -> bytes:
    """A figure -> PNG on white, for plots/."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    sink = io.BytesIO()
    figure.set_facecolor("white")
    figure.set_dpi(144)
    with _any_script():
        FigureCanvasAgg(figure).print_png(sink)
    return sink.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """A class name in a script that matplotlib has no font for is no reason to alarm anyone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield
