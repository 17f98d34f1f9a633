"""Statistics of a normalisation belong to the training: whatever val adds to them is a leak."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import finite, short

EXACT, FAR = 1e-4, 10.0  # of a std; times further from train than from all


class StatsFromEval(Check):
    """A normalisation that was fitted on training and validation samples together."""

    id = "data-stats-from-eval"
    signal = "mean of the fitted transform (or of the data that it made) beside train's and all's"
    threshold = f"within {EXACT:g} std of all samples' mean, {FAR:g} times further from train's"
    source = "notes 002: compute the mean over the training data only"
    why = "validation samples have a say in what the network sees; the score is a little too good"
    do = "split first, then fit the mean and std on the training samples only"
    bad = "scaler.fit(x); train, val = split(scaler.transform(x))"
    good = "train, val = split(x); scaler.fit(train)"

    def look(self, chart: Chart) -> Finding | None:
        """A warning where the transform was handed over; data that only look so are advice."""
        exam = chart.exams.get("moments") or {}
        train, every = _columns(exam, "train"), _columns(exam, "all")
        fitted = finite(exam.get("fitted_mean") or [])
        if not train or len(train) != len(every):
            return None
        told = len(fitted) == len(train)
        if not told:
            if not exam.get("whole") or not all(_is_unit(std) for _, std in every):
                return None
            fitted = [0.0] * len(train)
        pairs = zip(fitted, train, every, strict=True)
        gaps = [(abs(f - t[0]) / t[1], abs(f - a[0]) / t[1]) for f, t, a in pairs if t[1] > 0]
        if not gaps:
            return None
        from_train = sum(gap for gap, _ in gaps) / len(gaps)
        from_all = sum(gap for _, gap in gaps) / len(gaps)
        if from_all > EXACT or from_train < FAR * max(from_all, 1e-6):
            return None
        return self.finding(
            f"the mean that was taken out lies {short(from_all)} std from that of all samples and"
            f" {short(from_train)} std from that of the training samples",
            level="warning" if told else "advice",
            confidence=0.9 if told else 0.7,
            evidence={"from_all": from_all, "from_train": from_train, "channels": len(gaps)},
        )


def _columns(exam: dict, name: str) -> list[tuple[float, float]]:
    means, stds = finite(exam.get(f"{name}_mean") or []), finite(exam.get(f"{name}_std") or [])
    return list(zip(means, stds, strict=True)) if len(means) == len(stds) else []


def _is_unit(std: float) -> bool:
    return abs(std - 1) < 0.01 or std == 0


def sick() -> list[Chart]:
    """A transform whose mean is that of all samples."""
    return [_moments(fitted_mean=[0.5, 0.3], fitted_std=[1.0, 1.0])]


def healthy() -> list[Chart]:
    """A transform of the training samples; data whose mean was never taken out."""
    return [_moments(fitted_mean=[0.41, 0.38], fitted_std=[1.0, 1.0]), _moments()]


def _moments(**more: object) -> Chart:
    values = {"train_mean": [0.41, 0.38], "train_std": [1.0, 1.1], "val_mean": [0.6, 0.2],
              "val_std": [1.0, 1.0], "all_mean": [0.5, 0.3], "all_std": [1.3, 1.2], "whole": True,
              "num_train": 800, "num_val": 200}  # fmt: skip
    return training(sick=(examined("moments", **values, **more),))


CHECKS = {StatsFromEval.id: StatsFromEval()}
