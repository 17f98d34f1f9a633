"""Inputs that are all positive give all weights of a unit gradients of one sign."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, has_weights, kind_of, short


class NotCentred(Check):
    """Inputs whose mean is larger than their spread."""

    id = "data-not-centred"
    level = "advice"
    signal = "mean of the float inputs over their std, where no norm layer comes first"
    threshold = 1.0
    source = "notes 002 and 003, preprocessing"
    why = "all gradients of a first-layer unit share one sign, so its weights zigzag"
    do = "subtract the mean of the training set"
    bad = "x = image / 255"
    good = "x = (image / 255 - mean) / std"

    def look(self, chart: Chart) -> Finding | None:
        """Median over the training batches."""
        rows = [r for r in chart.batches.get("train", ()) if "float" in str(r.get("dtype"))]
        means, stds = finite(r.get("mean") for r in rows), finite(r.get("std") for r in rows)
        if not means or not stds or _norm_first(chart):
            return None
        mean, std = median(means), median(stds)
        if std < 1e-5 or abs(mean) <= self.threshold * std:
            return None
        return self.finding(
            f"the inputs have mean {short(mean)} and std {short(std)}",
            confidence=0.8,
            evidence={"mean": mean, "std": std},
        )


def _norm_first(chart: Chart) -> bool:
    kinds = [kind_of(t) for t in chart.layers.values() if has_weights(t) or "norm" in kind_of(t)]
    return bool(kinds) and "norm" in kinds[0]


def sick() -> list[Chart]:
    """Bright images in [0, 1]."""
    return [training(batch={"mean": 0.73, "std": 0.21, "min": 0.0, "max": 1.0, "absmax": 1.0})]


def healthy() -> list[Chart]:
    """Digits in [0, 1], mostly background; token indices."""
    digits = {"mean": 0.13, "std": 0.31}
    return [training(batch=digits), training(batch={"mean": 900, "std": 300, "dtype": "int64"})]


CHECKS = {NotCentred.id: NotCentred()}
