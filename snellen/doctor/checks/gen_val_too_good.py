"""Validation that is better than training is a reason to look at the split."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import kind_of, num

GAP, LEAST, SIGMAS = 0.05, 100, 3.0


class ValTooGood(Check):
    """A validation score above the training score, with nothing that would explain it."""

    id = "gen-val-too-good"
    level = "advice"
    signal = "accuracy on validation and on training samples, both in eval mode after the training"
    threshold = f"{GAP:g} higher and {SIGMAS:g} sigma, without dropout, {LEAST} samples or more"
    source = "UMLAUT asks for less and is noisy"
    why = "the validation set is easier, or was seen"
    do = "draw both parts from the same shuffle, and look for samples that lie in both"
    bad = "train, val = data[:900], data[900:]                # sorted by difficulty"
    good = "train, val = random_split(data, [900, 100])"

    def look(self, chart: Chart) -> Finding | None:
        """Accuracies of the same network."""
        exam = chart.exams.get("skill") or {}
        train, val, count = (num(exam, k) for k in ("train_accuracy", "val_accuracy", "val_count"))
        last = chart.epochs[-1] if len(chart.epochs) else {}
        if val is None and last.get("seen"):  # a loop without a loader for it
            val, count = num(last, "val_accuracy"), num(last, "val_count")
        if train is None or val is None or not count or count < LEAST:
            return None
        if any("dropout" in kind_of(trace) for trace in chart.layers.values()):
            return None
        noise = (max(train * (1 - train), 1e-4) / count) ** 0.5
        if val - train <= max(GAP, SIGMAS * noise):
            return None
        return self.finding(
            f"{val:.0%} of {int(count)} validation samples are right and {train:.0%} of the"
            " training samples",
            confidence=0.5,
            evidence={"train": train, "val": val},
        )


def sick() -> list[Chart]:
    """12 points better."""
    seen = {"val_accuracy": 0.93, "val_count": 300, "val_loss": 0.2, "seen": True}
    heard = {"kind": "epoch", "step": 40, "metrics": seen}
    return [_skilled(0.8, 0.92), training(sick=(examined("skill", train_accuracy=0.8), heard))]


def healthy() -> list[Chart]:
    """As it should be; a chance."""
    return [_skilled(0.95, 0.93), _skilled(0.9, 0.92)]


def _skilled(train: float, val: float) -> Chart:
    values = {"train_accuracy": train, "val_accuracy": val, "val_count": 400}
    return training(sick=(examined("skill", **values),))


CHECKS = {ValTooGood.id: ValTooGood()}
