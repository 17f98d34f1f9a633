"""How each layer is doing, as the doctor's probes last saw it."""

import math
from statistics import median
from typing import Any, TypeGuard

from ..facts import ReportFacts
from ..section import Piece, Section, table, text

MOST = 60
HEAD = ["layer", "kind", "output", "mean", "std", "dead units", "gradient", "update / weight"]
NOTE = (
    "Mean, std and dead units: the last sampled step. Gradient, at the layer's output, and "
    "update / weight, one step against the weights: the median of the sampled steps, on "
    "logarithmic bars; an update of about 1e-3 is usual."
)


def build(facts: ReportFacts) -> Piece | None:
    """A row a layer, in the order of the forward pass."""
    if facts.chart is None or not facts.chart.layers:
        return None
    ratios = update_ratios(facts.chart)
    readings = [_reading(trace, ratios) for trace in facts.chart.layers.values()]
    readings = [r for r in readings if len(r) > 3][:MOST]
    if not readings:
        return None
    largest = max((r["grad_norm"] for r in readings if _finite(r.get("grad_norm"))), default=1.0)
    most_std = max((r["std"] for r in readings if _finite(r.get("std"))), default=1.0)
    rows = [_row(r, largest, most_std) for r in readings]
    more = len(facts.chart.layers) - len(rows)
    tail = f'<p class="soft">{NOTE}{f" {more} layers are not shown." if more > 0 else ""}</p>'
    return Piece(table(HEAD, rows, "layer statistics", "wide") + tail)


def update_ratios(chart: Any) -> dict[str, float]:
    """Module name -> the usual update ratio of its weights (the largest, where it has several).

    The median: the last step of most schedules is next to nothing, and says nothing.
    """
    ratios: dict[str, float] = {}
    for trace in chart.params.values():
        values = [v for v in trace.column("update_ratio") if v is not None]
        if not values or trace.facts.get("is_bias"):
            continue
        module = trace.facts.get("module", trace.name.rpartition(".")[0])
        ratios[module] = max(ratios.get(module, 0.0), median(values))
    return ratios


def _reading(trace: Any, ratios: dict[str, float]) -> dict[str, Any]:
    """The last value of each quantity (of gradients the median), and what is fixed."""
    seen: dict[str, Any] = {}
    for row in trace.rows:
        seen.update({k: v for k, v in row.items() if v is not None})
    module = trace.facts.get("module", trace.name)
    if gradients := [v for v in trace.column("grad_norm") if v is not None]:
        seen["grad_norm"] = median(gradients)
    if module in ratios:
        seen["update_ratio"] = ratios[module]
    return {"name": trace.name, **trace.facts, **seen}


def _row(reading: dict[str, Any], largest: float, most_std: float) -> list[str]:
    shape = reading.get("out_shape") or ()
    dead, ratio = reading.get("dead_share"), reading.get("update_ratio")
    gradient, std = reading.get("grad_norm"), reading.get("std")
    return [
        text(reading["name"] or "(network)"),
        text(reading.get("kind", "")),
        text(" x ".join(map(str, shape[1:]))) if len(shape) > 1 else "",
        _number(reading.get("mean")),
        _number(std) + _bar(std / most_std if _finite(std) and most_std else None),
        "" if dead is None else _word(f"{dead * 100:.0f} %") + _bar(dead, dead > 0.4),
        _number(gradient) + _bar(_log_share(gradient, largest, 6)),
        _number(ratio) + _bar(_log_share(ratio, 1.0, 6), _odd_ratio(ratio)),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else _word(f"{value:.2g}")


def _word(word: str) -> str:
    """A number as wide as the others, so that the bars beside them stand in line."""
    return f'<span class="number">{text(word)}</span>'


def _bar(share: float | None, bad: bool = False) -> str:
    if share is None:
        return ""
    mark = ' class="bad"' if bad else ""
    width = 100 * min(1.0, max(0.0, share))
    return f'<span class="bar" aria-hidden="true"><i{mark} style="width:{width:.0f}%"></i></span>'


def _log_share(value: float | None, top: float, decades: float) -> float | None:
    """Where a value lies on the decades below `top`."""
    if not _finite(value) or value <= 0 or top <= 0:
        return None
    return 1 + math.log10(value / top) / decades


def _odd_ratio(ratio: float | None) -> bool:
    """Far from the usual 1e-3: the weights hardly move, or are overwritten."""
    return ratio is not None and not 1e-5 < ratio < 0.1


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


SECTIONS = {"layers": Section("Layers", 60, build)}
