"""Loss, score and learning rate by epoch: the first thing that anyone looks at."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.words import number
from .. import figure
from ..facts import ReportFacts
from ..section import Piece, Section

if TYPE_CHECKING:
    from ...doctor.chart import Chart

Lines = dict[str, list[tuple[float, float]]]  # name -> (epoch, value), finite ones only
NOT_SCORES = ("epoch", "step", "seconds", "lr")
DECADES = 1.5  # a loss over a wider range is drawn on a logarithmic scale


def build(facts: ReportFacts) -> Piece | None:
    """Three drawings side by side on the page, one picture in plots/."""
    history = facts.history or (measured(facts.chart) if facts.chart is not None else ())
    panels = {title: lines for title, lines in gather(history).items() if lines}
    if not panels:
        return None
    axis = "epoch" if facts.history else "step"
    drawn = []
    for title, lines in panels.items():
        one, (ax,) = figure.new(3.3, 2.3)
        _draw(ax, title, lines, axis)
        drawn.append(f"<figure>{figure.svg(one, _alt(title, lines, axis))}</figure>")
    whole, axes = figure.new(3.6 * len(panels), 2.6, columns=len(panels))
    for ax, (title, lines) in zip(axes, panels.items(), strict=True):
        _draw(ax, title, lines, axis)
    html = f'<div class="charts">{"".join(drawn)}</div>{_remark(history, axis)}'
    return Piece(html, {"curves.png": figure.png(whole)})


def measured(chart: "Chart") -> list[dict[str, Any]]:
    """What the doctor saw of a loop that keeps no history -> rows by step.

    >>> from snellen.doctor.chart import Chart
    >>> measured(Chart(steps=[{"step": 0, "loss": 2.0, "lr": 0.1}, {"step": 1, "loss": 1.0}]))
    [{'step': 0, 'loss': 2.0}, {'step': 1, 'loss': 1.0}]
    """
    rates = {row["lr"] for row in chart.steps if "lr" in row and not row.get("optimizer")}
    steps = ("loss", "lr") if len(rates) > 1 else ("loss",)
    kept = [(chart.steps, steps), (chart.epochs, ("val_loss", "val_accuracy"))]
    rows = [{"step": row["step"], **{k: row[k] for k in keys if k in row}}
            for series, keys in kept for row in series if not row.get("optimizer")]  # fmt: skip
    return [row for row in rows if len(row) > 1]


def gather(history: Sequence[Mapping[str, Any]]) -> dict[str, Lines]:
    """Epoch rows -> the lines of each panel; a loss without a prefix is of the training.

    >>> gather([{"epoch": 1, "loss": 2.0, "val_loss": 1.5, "accuracy": 0.5, "lr": 0.1}])["loss"]
    {'training': [(1, 2.0)], 'validation': [(1, 1.5)]}
    """
    names = {"loss": "training", "val_loss": "validation"}
    panels: dict[str, Lines] = {"loss": {}, "score": {}, "learning rate": {}}
    for row_number, row in enumerate(history, 1):
        names["train_loss"] = "its data alone" if "loss" in row else "training"
        for key, value in row.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                continue
            if key == "lr":
                panel, name = "learning rate", "lr"
            elif key in NOT_SCORES:
                continue
            else:
                panel, name = ("loss", names.get(key, key)) if "loss" in key else ("score", key)
            place = row.get("epoch", row.get("step", row_number))
            panels[panel].setdefault(name, []).append((place, value))
    panels["score"] = _first_score(panels["score"])
    return panels


def _first_score(lines: Lines) -> Lines:
    """The first score, of training and of validation; metrics.csv has the others."""
    names = [name.removeprefix("train_").removeprefix("val_") for name in lines]
    return {key: lines[key] for key, name in zip(lines, names, strict=True) if name == names[0]}


def _draw(ax: Any, title: str, lines: Lines, axis: str) -> None:
    colours = (figure.BLUE, figure.ORANGE, figure.SOFT, figure.INK)
    for (name, points), colour in zip(lines.items(), colours, strict=False):
        xs, ys = zip(*points, strict=True)
        dots = {"marker": "o", "markersize": 3.5} if len(points) < 3 else {}
        ax.plot(xs, ys, color=colour, linewidth=1.6, label=name, **dots)
    values = [y for points in lines.values() for _, y in points]
    if title == "loss" and min(values) > 0 and math.log10(max(values) / min(values)) > DECADES:
        ax.set_yscale("log")
        ax.tick_params(which="minor", length=0)
        ax.yaxis.set_minor_formatter("")
    else:
        ax.yaxis.get_major_locator().set_params(nbins=5)
    ax.set_title(
        title if len(lines) > 1 or title != "score" else name,
        loc="left",
        fontsize=10,
        color=figure.INK,
        parse_math=False,
    )
    ax.grid(axis="y", color=figure.LINE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel(axis, fontsize=9, color=figure.SOFT)
    epochs = [x for points in lines.values() for x, _ in points]
    if min(epochs) == max(epochs):
        ax.set_xticks([epochs[0]])
    else:
        ax.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    if len(lines) > 1:
        words = ax.legend(frameon=False, fontsize=9, labelcolor=figure.SOFT).get_texts()
        for word in words:
            word.set_parse_math(False)


def _alt(title: str, lines: Lines, axis: str) -> str:
    ends = [f"{name} from {number(p[0][1])} to {number(p[-1][1])}" for name, p in lines.items()]
    return f"{title} by {axis}: {', '.join(ends)}"


def _remark(history: Sequence[Mapping[str, Any]], axis: str) -> str:
    """Values that no drawing can hold are said in words."""
    bad = [r.get(axis, i) for i, r in enumerate(history, 1)
           if any(isinstance(v, float) and not math.isfinite(v) for v in r.values())]  # fmt: skip
    if not bad:
        return ""
    return (
        f'<p class="soft">Not a finite number, and so not drawn: values from {axis} {bad[0]}.</p>'
    )


SECTIONS = {"curves": Section("Curves", 30, build)}
