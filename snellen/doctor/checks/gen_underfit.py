"""A training loss that rests far above its floor: the network cannot do better, or is not let."""

from statistics import mean

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import finite, is_cross_entropy, losses, num, num_optimizers, short

POOR, SLOPE, STEPS, EPOCHS = 0.7, 0.01, 60, 3
FLOOR = 0.3  # of the first loss


class Underfit(Check):
    """A training that has come to rest without having learnt its own samples."""

    id = "gen-underfit"
    signal = "training accuracy after the training, and the slope of the training loss"
    threshold = f"below {POOR:g} right, slope below {SLOPE:.0%} an epoch over the second half"
    source = "AUTOTRAINER; notes 004, capacity"
    why = "more epochs do not help; the network is too small or something holds it back"
    do = "a wider or deeper network, less regularisation, and a look at the other findings"
    bad = "net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Linear(2, 10))"
    good = "net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))"

    def look(self, chart: Chart) -> Finding | None:
        """Labels that contradict each other cannot be fitted by any network."""
        skill, votes = chart.exams.get("skill") or {}, chart.exams.get("votes") or {}
        score, series = num(skill, "train_accuracy"), losses(chart)
        if score is None or score >= POOR or num_optimizers(chart) > 1:
            return None
        reader = num(votes, "right")
        if reader is None or reader < score + 0.15 or not is_cross_entropy(chart):
            return None  # a simple reader does no better: the task is hard, the network is not bad
        epoch = int(chart.facts.get("steps_per_epoch") or chart.step // 10)  # no loader tells
        if len(series) < STEPS or not epoch or chart.step < EPOCHS * epoch:
            return None
        steps = [row["step"] for row in chart.steps if finite([row.get("loss")])]
        half = steps[-1] / 2
        late = [v for s, v in zip(steps, series, strict=False) if s >= half]
        middle = len(late) // 2
        if middle < 10:
            return None
        before, after = mean(late[:middle]), mean(late[middle:])
        slope = (before - after) / max(before, 1e-12) / max((steps[-1] - half) / 2 / epoch, 1e-9)
        if slope >= SLOPE or after < FLOOR * series[0]:
            return None
        return self.finding(
            f"training rests at a loss of {short(after)} with {score:.0%} of its own samples right"
            f" ({slope:.1%} less an epoch); a simple reader gets {reader:.0%}",
            confidence=0.55,
            evidence={"train_accuracy": score, "slope": slope, "reader": reader},
        )


def sick() -> list[Chart]:
    """At rest at 1.2 with half of the samples right."""
    return [_rested(1.2, train_accuracy=0.5)]


def healthy() -> list[Chart]:
    """As hard for anybody else; learnt."""
    return [_rested(1.2, right=0.55, train_accuracy=0.5), _rested(0.1, train_accuracy=0.98)]


def _rested(loss: float, right: float = 0.9, **values: float) -> Chart:
    return training(
        100,
        step={"loss": lambda t: max(loss, 2.3 - 0.1 * t)},
        loss_call={"value": lambda t: max(loss, 2.3 - 0.1 * t)},
        facts={"steps_per_epoch": 20},
        sick=(examined("skill", train_count=1000, **values),
              examined("votes", right=right, chance=0.1, count=1000, against=100, strong=2)),
    )  # fmt: skip


CHECKS = {Underfit.id: Underfit()}
