"""How a lesson is drawn: the house's colours, names beside their lines, on light and on dark."""

import re
from collections.abc import Sequence
from typing import Any

from snellen.report import figure
from snellen.report.style import STYLE

INK, SOFT, LINE, BLUE, ORANGE = figure.COLOURS
MORE = {  # as drawn in a PNG -> as named in the page's style
    "#2e7d4f": "var(--green)",
    "#b83a35": "var(--red)",
    "#9a6a00": "var(--amber)",
}
GREEN, RED, AMBER = MORE
PALETTE = STYLE[: STYLE.index("* {")]  # the names of the colours, light and dark
WIDTH = 7.8  # inches, of every picture


def sheet(height: float, rows: int = 1, columns: int = 1, **more: Any) -> tuple[Any, Any]:
    """An empty figure and its axes_RC, without frames; `more` goes to matplotlib's subplots."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), layout="constrained")
    made.get_layout_engine().set(w_pad=0.1, h_pad=0.1, wspace=0.02, hspace=0.02)
    axes = made.subplots(rows, columns, squeeze=False, **more)
    for ax in axes.flat:
        bare(ax)
    return made, axes


def bare(ax: Any) -> None:
    """Axes without frame and ticks, the numbers soft."""
    ax.set_facecolor("none")
    ax.tick_params(which="both", colors=SOFT, length=0, labelsize=8)
    for side in ax.spines.values():
        side.set_visible(False)


def dress(ax: Any, title: str = "", *, x: str = "", y: str = "", grid: str = "y") -> None:
    """Title at the left, names of the axes, faint lines behind what is drawn."""
    ax.set_title(title, loc="left", fontsize=9.5, color=INK, parse_math=False)
    ax.set_xlabel(x, fontsize=8.5, color=SOFT)
    ax.set_ylabel(y, fontsize=8.5, color=SOFT)
    if grid:
        ax.grid(axis=grid, which="major", color=LINE, linewidth=0.8)
        ax.set_axisbelow(True)


def empty(ax: Any, title: str = "") -> None:
    """Axes for a picture or a map: no numbers at all."""
    dress(ax, title, grid="")
    ax.set(xticks=[], yticks=[])


def say(ax: Any, place: tuple[float, float], words: str, colour: str = SOFT, **more: Any) -> None:
    """Words at a place in data coordinates, `inside=True` in shares of the axes."""
    if more.pop("inside", False):
        more["transform"] = ax.transAxes
    settings = {"fontsize": 8.5, "clip_on": False, "parse_math": False, **more}
    ax.text(*place, words, color=colour, **settings)


def name_ends(ax: Any, ends: Sequence[tuple[str, float, str]], x: float, gap: float) -> None:
    """(name, y, colour) of lines that end at x -> their names there, `gap` of the axes apart.

    The y-axis must have its final limits and scale.
    """
    show = ax.transData.transform
    low, high = ax.transAxes.transform([(0, 0), (0, 1)])[:, 1]
    at = {name: (show((x, y))[1] - low) / (high - low) for name, y, _ in ends}
    order = sorted(ends, key=lambda end: at[end[0]])
    places: list[float] = []
    for name, _, _ in order:
        places.append(max(at[name], places[-1] + gap) if places else max(at[name], 0.02))
    over = max(0.0, places[-1] - 1.0)
    for i in reversed(range(len(places))):  # pushed down again where the top is reached
        if over:
            places[i] = min(places[i], 1.0 - gap * (len(places) - 1 - i))
    right = (show((x, 1))[0] - ax.transAxes.transform((0, 0))[0]) / ax.bbox.width
    for (name, _, colour), y in zip(order, places, strict=True):
        say(ax, (right + 0.02, y), name, colour, inside=True, va="center")


def svg(drawn: Any, caption: str) -> str:
    """A figure and what it shows -> an SVG file that is light or dark as its reader's machine."""
    inline = figure.svg(drawn, caption)
    for colour, name in MORE.items():
        inline = inline.replace(colour, name)
    head, body = inline[: inline.index(">") + 1], inline[inline.index(">") + 1 :]
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    words = re.sub(r"\s+", " ", PALETTE).strip()
    paper = '<rect width="100%" height="100%" rx="8" fill="var(--card)"/>'
    body = re.sub(r" +\n", "\n", re.sub(r'"[^"]*"', _hundredths, body))
    return f"{head}\n<style>{words}</style>\n{paper}{body}"


def _hundredths(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point; what stands in words is left alone."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", attribute[0]))
