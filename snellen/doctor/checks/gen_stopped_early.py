"""A training that ends while both losses still fall has left its best epochs out."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, num, num_optimizers, short

FALL, VAL_FALL, POOR, EPOCHS = 0.10, 0.03, 0.75, 3
LEFT = 0.25  # of the first loss
SCORES = ("mIoU", "mAP50-95", "mAP", "R2", "accuracy", "val_accuracy", "val_acc")  # what is judged


class StoppedEarly(Check):
    """A training that stopped while it was still learning."""

    id = "gen-stopped-early"
    signal = "how far training and validation loss fell over the last quarter"
    threshold = f"more than {FALL:.0%} and {VAL_FALL:.0%}, and less than {POOR:.0%} right"
    source = "DeepFD: too few epochs are the cause in 18 of 52 real faults"
    why = "the score is that of an unfinished network"
    do = "train longer: twice the epochs, and let patience stop it"
    bad = "for epoch in range(2): ...        # 31 % right, and rising"
    good = "for epoch in range(50): ...       # stop when validation has not risen for 5"

    def look(self, chart: Chart) -> Finding | None:
        """From epochs that the training reports; a loop that only evaluates may mean to go on."""
        if num_optimizers(chart) > 1 or any(row.get("seen") for row in chart.epochs):
            return None
        train = _series(chart, ("train_loss", "train/loss", "loss"))
        val = _series(chart, ("val_loss", "val/loss", "valid_loss"))
        if len(train) < EPOCHS or len(train) != len(val):
            return None
        score, quarter = _series(chart, SCORES), max(1, len(train) // 4)
        if not score or score[-1] >= POOR or train[-1] < LEFT * train[0]:
            return None
        if score[-1] <= score[max(0, len(score) - 1 - quarter)]:
            return None  # no epoch more would help what is judged
        fall, val_fall = (1 - s[-1] / s[-1 - quarter] if s[-1 - quarter] > 0 else 0.0
                          for s in (train, val))  # fmt: skip
        if fall <= FALL or val_fall <= VAL_FALL or val[-1] > min(val):
            return None
        skill = num(chart.exams.get("skill") or {}, "train_accuracy")
        return self.finding(
            f"over the last {quarter} of {len(train)} epochs the training loss fell by {fall:.0%}"
            f" and the validation loss by {val_fall:.0%}, to {short(val[-1])}; the score is"
            f" {short(score[-1])} and still rising",
            settings={"epochs": 2 * len(train)},
            confidence=0.6,
            evidence={"train": train[-8:], "val": val[-8:], "train_accuracy": skill},
        )


def _series(chart: Chart, names: tuple[str, ...]) -> list[float]:
    return finite(next((row[n] for n in names if n in row), None) for row in chart.epochs)


def sick() -> list[Chart]:
    """Four epochs, each far better than the one before."""
    return [_epochs([2.3, 2.0, 1.7, 1.3], [2.2, 1.9, 1.6, 1.25], 0.55)]


def healthy() -> list[Chart]:
    """Still falling at 97 % right; at rest; val at rest; a score that does not rise."""
    return [
        _epochs([2.3, 1.0, 0.5, 0.3], [1.9, 0.8, 0.5, 0.33], 0.97),
        _epochs([2.3, 1.4, 1.21, 1.2], [2.0, 1.4, 1.3, 1.3], 0.6),
        _epochs([2.3, 2.0, 1.7, 1.3], [2.0, 1.9, 1.8, 1.8], 0.4),
        _epochs([2.3, 2.0, 1.7, 1.3], [2.2, 1.9, 1.6, 1.25], 0.0),
    ]


def _epochs(train: list[float], val: list[float], score: float) -> Chart:
    chart = training(step={"loss": lambda t: train[0] * (train[-1] / train[0]) ** (t / 40)})
    for i, (t, v) in enumerate(zip(train, val, strict=True)):
        metrics = {"train_loss": t, "val_loss": v, "accuracy": score * (i + 1) / len(train)}
        chart.record({"kind": "epoch", "step": 100 * (i + 1), "epoch": i + 1, "metrics": metrics})
    return chart


CHECKS = {StoppedEarly.id: StoppedEarly()}
