"""A script that trains one network again and again is a search: its trainings are the trials.

The score is the least validation loss where every training has one. Else it is the training loss
at the end, by which only the learning rate can be chosen: less decay always fits better.
"""

import math
from collections.abc import Sequence
from typing import Any

from ..core.errors import UsageError
from .chart import Chart
from .checks._readings import ends, finite, losses, rates

KINDS = 4  # values of a setting: fewer are no search of it
WIDE = 10.0  # from here on a range is searched by its logarithm


def trials(charts: Sequence[Chart]) -> Chart:
    """The charts of a script's trainings -> a chart that holds nothing but the search's trials.

    >>> lrs = (1e-3, 1e-2, 1e-1, 1.0)
    >>> runs = [Chart(steps=[{"lr": lr, "loss": 1 / lr}]) for lr in lrs for _ in range(2)]
    >>> trials(runs).trials[-1]["ranges"]
    {'lr': [0.001, 1.0, True]}
    """
    found = Chart()
    seen = [finite(row.get("val_loss") for row in chart.epochs) for chart in charts]
    is_validated = all(seen)
    scores = [-min(v) if is_validated else -_last(c) for v, c in zip(seen, charts, strict=True)]
    settings = [_settings(chart, is_validated) for chart in charts]
    ranges: dict[str, list[Any]] = {}
    for name in set().union(*settings):
        tried = [own[name] for own in settings if name in own]
        if len(tried) == len(charts) and len(set(tried)) >= KINDS:
            low, high = min(tried), max(tried)
            ranges[name] = [low, high, low > 0 and high >= WIDE * low]
    for own, score in zip(settings, scores, strict=True):
        chosen = {name: own[name] for name in ranges}
        values = {"settings": chosen, "ranges": ranges, "score": score}
        found.record({"kind": "trial", "step": 0, "values": values})
    return found


def told(score: Any, settings: dict[str, Any], ranges: dict[str, Any]) -> dict[str, Any]:
    """A trial in the words of its user -> the values of its event; NumPy's numbers and tensors of
    one number become Python's. Raises UsageError for a range without two ends.

    >>> import torch
    >>> told(torch.tensor(0.5), {"lr": 0.1}, {"lr": (0.01, 1)})
    {'score': 0.5, 'settings': {'lr': 0.1}, 'ranges': {'lr': [0.01, 1]}}
    """
    for name, span in ranges.items():
        if len(span) not in (2, 3):
            raise UsageError(f"the range of {name} is {span!r}; (low, high[, is_log]) is wanted")
    return {
        "score": _plain(score),
        "settings": {name: _plain(value) for name, value in settings.items()},
        "ranges": {name: [_plain(end) for end in span] for name, span in ranges.items()},
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _last(chart: Chart) -> float:
    """The training loss at the end; infinite where it went away."""
    series = chart.column("loss")
    is_lost = not series or not math.isfinite(series[-1])
    return math.inf if is_lost else ends(losses(chart))[1]


def _settings(chart: Chart, is_validated: bool) -> dict[str, float]:
    """The settings of a training's first optimiser that its score can choose."""
    lr = max(rates(chart), default=0.0)
    found = {"lr": lr} if lr > 0 else {}
    first = (chart.facts.get("optimizers") or [{}])[0]
    if is_validated and first.get("weight_decay"):
        found["weight_decay"] = float(first["weight_decay"])
    return found
