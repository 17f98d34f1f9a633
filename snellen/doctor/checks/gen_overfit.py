"""When the validation loss rises and the training loss still falls, the rest is memorising."""

from math import exp

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short

TIMES, EVALUATIONS = 1.1, 3
FALL, GAP = 0.01, 0.1  # of the score since the minimum; between the losses, of the minimum
ROSE, BEHIND = 1.3, 0.15  # where the score holds: of the loss; of the score behind the training's


class Overfit(Check):
    """A validation loss past its minimum while the training loss falls."""

    id = "gen-overfit"
    signal = "validation loss over its minimum, and the training loss beside it"
    threshold = f"{TIMES} for {EVALUATIONS} evaluations"
    source = "notes 004; AUTOTRAINER"
    why = "from its minimum on the network learns the training samples by heart"
    do = "stop at the best epoch; more augmentation, weight decay or dropout; a smaller network"
    bad = "for epoch in range(500): ..."
    good = "stop when the validation loss has not fallen for ten epochs"

    def look(self, chart: Chart) -> Finding | None:
        """From the epochs' metrics, by their usual names."""
        val, train = _series(chart, VAL), _series(chart, TRAIN)
        if len(val) < EVALUATIONS + 1 or min(val) <= 0:
            return None
        best = val.index(min(val))
        after = val[-EVALUATIONS:]
        if best >= len(val) - EVALUATIONS or min(after) < TIMES * min(val):
            return None
        if len(train) != len(val) or train[-1] >= train[best]:
            return None
        holds = _score_holds(chart, best)
        if min(val) - train[-1] < GAP * min(val) or (holds and not _by_heart(chart, val, train)):
            return None
        return self.finding(
            f"the validation loss was {short(min(val))} at evaluation {best + 1} and is"
            f" {short(val[-1])} now, while the training loss fell from {short(train[best])} to"
            f" {short(train[-1])}"
            + (f"; the validation accuracy holds at {short(_score(chart, -1))}" if holds else ""),
            settings={"patience": 10},
            since=chart.epochs[best]["step"],
            confidence=0.7 if holds else 0.85,
            evidence={"val": val[-8:], "train": train[-8:], "best": best + 1},
        )


def _score_holds(chart: Chart, best: int) -> bool:
    """Whether the validation score is as good as at the loss's minimum: then more confidence in
    a few wrong answers raised the loss, and nothing is lost."""
    return _score(chart, -1) >= max(0.0, _score(chart, best) - FALL)


def _score(chart: Chart, i: int) -> float:
    """The validation accuracy of an epoch; -1 where there is none."""
    row = chart.epochs[i]
    return float(next((row[n] for n in SCORES if isinstance(row.get(n), int | float)), -1.0))


def _by_heart(chart: Chart, val: list[float], train: list[float]) -> bool:
    """Whether the loss rose a lot and the score stays far behind that of the training samples,
    which get their classes right with a probability of exp(-loss)."""
    return min(val[-EVALUATIONS:]) > ROSE * min(val) and (
        exp(-max(0.0, train[-1])) - _score(chart, -1) > BEHIND
    )


SCORES = ("accuracy", "val_accuracy", "val_acc")
VAL = ("val_loss", "val/loss", "valid_loss")
TRAIN = ("train_loss", "train/loss", "loss")


def _series(chart: Chart, names: tuple[str, ...]) -> list[float]:
    return finite(next((row[n] for n in names if n in row), None) for row in chart.epochs)


def sick() -> list[Chart]:
    """Best at the third of eight epochs, and so with a score that holds, far from perfect."""
    val = [1.0, 0.7, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0]
    falling = [2.0 * 0.4**i for i in range(8)]
    return [_epochs([2.0 * 0.6**i for i in range(8)], val), _epochs(falling, val, score=0.7)]


def healthy() -> list[Chart]:
    """A plateau; noise around a minimum; a rising loss under a score that holds, of a
    training that rises as little, of one that is nearly always right, of one not by heart."""
    falling = [2.0 * 0.8**i for i in range(8)]
    return [
        _epochs(falling, [1.0, 0.7, 0.6, 0.62, 0.6, 0.61, 0.63, 0.62]),
        _epochs(falling, [1.0, 0.8, 0.6, 0.8, 0.58, 0.7, 0.57, 0.6]),
        _epochs(falling, [1.0, 0.5, 0.4, 0.42, 0.45, 0.46, 0.47, 0.48], score=0.97),
        _epochs(
            [2.0 * 0.4**i for i in range(8)],
            [1.0, 0.5, 0.4, 0.42, 0.45, 0.46, 0.47, 0.48],
            score=0.7,
        ),
        _epochs(
            [2.0 * 0.4**i for i in range(8)],
            [0.5, 0.1, 0.08, 0.1, 0.12, 0.13, 0.14, 0.15],
            score=0.98,
        ),
        _epochs(falling, [1.0, 0.7, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0], score=0.7),
    ]


def _epochs(train: list[float], val: list[float], score: float | None = None) -> Chart:
    chart = training()
    for i, (t, v) in enumerate(zip(train, val, strict=True)):
        metrics = {"train_loss": t, "val_loss": v}
        if score is not None:
            metrics["accuracy"] = score
        chart.record({"kind": "epoch", "step": 100 * (i + 1), "epoch": i + 1, "metrics": metrics})
    return chart


CHECKS = {Overfit.id: Overfit()}
