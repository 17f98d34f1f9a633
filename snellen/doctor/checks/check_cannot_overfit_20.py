"""A network that cannot learn twenty samples by heart has a fault that no data can mend."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num, short

LEAST = 2


class CannotOverfit20(Check):
    """Twenty samples that cannot be learnt by heart."""

    id = "check-cannot-overfit-20"
    signal = "a copy of the network on 20 samples, without dropout and weight decay, three rates"
    threshold = (
        "loss at 1 % of its start, or 95 % of the labels right, within 200 steps of Adam; or still"
        " falling then"
    )
    source = "notes 002 and CS231n: before training, overfit a tiny subset"
    why = "the fault is in the network, its loss or its gradients, not in the amount of data"
    do = "look at the other findings; else check the loss, detached parts and the last activation"
    bad = "out = torch.relu(self.head(x)); loss = F.mse_loss(out, y)      # y is negative, too"
    good = "out = self.head(x); loss = F.mse_loss(out, y)"
    explains = ("gen-underfit",)

    def look(self, chart: Chart) -> Finding | None:
        """A trial that ran out of time, or whose loss still falls at its end, says nothing."""
        exam = chart.exams.get("memory") or {}
        start, end, count = (num(exam, key) for key in ("start", "end", "samples"))
        if exam.get("learnt") is not False or not exam.get("finished") or start is None:
            return None
        if end is None or count is None or count < LEAST:
            return None
        right = f", {num(exam, 'right') or 0:.0%} right" if exam.get("kind") == "class" else ""
        return self.finding(
            f"{int(count)} samples could not be learnt by heart in 200 steps: the loss went from"
            f" {short(start)} to {short(end)} at best{right}",
            confidence=0.6,
            evidence={"start": start, "end": end, "right": exam.get("right")},
        )


def sick() -> list[Chart]:
    """The loss stays."""
    return [_tried(end=2.29, right=0.1, learnt=False)]


def healthy() -> list[Chart]:
    """Learnt; and not finished in time."""
    return [_tried(end=0.02, right=1.0, learnt=True), _tried(end=1.9, learnt=False, finished=False)]


def _tried(**values: object) -> Chart:
    usual = {"start": 2.3, "samples": 20, "kind": "class", "finished": True, "right": 0.5}
    return training(sick=(examined("memory", **usual | values),))


CHECKS = {CannotOverfit20.id: CannotOverfit20()}
