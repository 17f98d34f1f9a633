"""The best of a search at the edge of its range: a better one may lie beyond."""

import math
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short

EDGE, TRIALS, BEST = 0.05, 8, 3


class OptimumAtBoundary(Check):
    """A search whose best trial lies at the edge of a range."""

    id = "search-optimum-at-boundary"
    signal = "the settings of the three best trials beside the ranges that were searched"
    threshold = f"within {EDGE:.0%} of the range (of its logarithm) of an edge, {TRIALS} trials"
    source = "CS231n notes, neural networks 3: careful with best values on border"
    why = "the range decided, not the score"
    do = "move the range in that direction and search again"
    bad = "lr between 1e-5 and 1e-3, best 9.8e-4"
    good = "lr between 1e-4 and 1e-1"

    def look(self, chart: Chart) -> Finding | None:
        """trial events: score (higher is better), settings, ranges {name: [low, high, log?]}."""
        trials = [t for t in chart.trials if finite([t.get("score")]) and t.get("settings")]
        if len(trials) < TRIALS:
            return None
        best, *near = sorted(trials, key=lambda t: t["score"], reverse=True)[:BEST]
        ranges = best.get("ranges") or {}
        found = []
        for name, value in best["settings"].items():
            edge = _edge(value, ranges.get(name))
            beside = [_edge(t["settings"].get(name), ranges.get(name), 0.5) for t in near]
            if edge and all(other == edge for other in beside):  # no accident of a flat score
                found.append((name, value, edge))
        if not found:
            return None
        words = "; ".join(f"{name} {short(value)} at the {edge}" for name, value, edge in found)
        return self.finding(
            f"the best of {len(trials)} trials (score {short(best['score'])}) has {words}",
            confidence=0.8,
            evidence={"settings": best["settings"], "ranges": best.get("ranges")},
        )


def _edge(value: Any, range: Any, share: float = EDGE) -> str:
    """A value in its range -> '' or which end it is at.

    >>> _edge(9.8e-4, [1e-5, 1e-3, True])
    'upper end of 1e-05 to 0.001'
    """
    if not isinstance(value, int | float) or not isinstance(range, list | tuple):
        return ""
    low, high, *log = range
    is_log = bool(log and log[0]) and low > 0 and value > 0
    ends = [math.log(v) if is_log else float(v) for v in (low, value, high)]
    if ends[2] <= ends[0]:
        return ""
    place = (ends[1] - ends[0]) / (ends[2] - ends[0])
    side = "lower" if place < share else "upper" if place > 1 - share else ""
    return f"{side} end of {short(low)} to {short(high)}" if side else ""


def sick() -> list[Chart]:
    """The higher the rate, the better, to the end."""
    return [_searched(lambda k: k)]


def healthy() -> list[Chart]:
    """A best rate in the middle; too few trials; a score that the rate does not change."""
    return [_searched(lambda k: -abs(k - 5)), _searched(lambda k: k, count=4),
            _searched(lambda k: (3, 0, 2, 0, 1, 0, 0, 1, 0, 4)[k])]  # fmt: skip


def _searched(score: Any, count: int = 10) -> Chart:
    chart = training()
    for k in range(count):
        values = {"score": 0.5 + 0.01 * score(k), "settings": {"lr": 1e-5 * 10 ** (2 * k / 9)},
                  "ranges": {"lr": [1e-5, 1e-3, True]}}  # fmt: skip
        chart.record({"kind": "trial", "step": 0, "values": values})
    return chart


CHECKS = {OptimumAtBoundary.id: OptimumAtBoundary()}
