"""backward() computes gradients; only optimizer.step() moves the weights."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import num_optimizers

BACKWARDS = 20


class NoStep(Check):
    """Many backward passes and not one optimiser step."""

    id = "loop-no-step"
    level = "error"
    signal = "backward passes since the last optimiser step"
    threshold = BACKWARDS
    source = "PyTorch, torch.optim: taking an optimization step"
    why = "nothing is learned: the weights never move"
    do = "call optimizer.step() after loss.backward()"
    bad = "optimizer.zero_grad(); loss.backward()"
    good = "optimizer.zero_grad(); loss.backward(); optimizer.step()"
    explains = ("weights-not-updating", "loop-no-zero-grad", "lr-too-low", "gen-underfit",
                "grad-exploding")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Where an optimiser is watched, and no weight was moved by hand either."""
        backwards = [chart.facts.get("backwards") or 0, *chart.column("backwards")]
        if not chart.facts.get("num_optimizers") or max(backwards) < BACKWARDS:
            return None
        if chart.step > 0:
            return self._one_of_several(chart, int(chart.facts.get("backwards") or 0))
        moved = any(row.get("changed") for t in chart.params.values() for row in t.rows)
        if moved:
            return None
        return self.finding(
            f"{max(backwards)} backward passes and 0 optimiser steps",
            confidence=0.97,
            evidence={"backwards": max(backwards), "steps": chart.step},
        )

    def _one_of_several(self, chart: Chart, backwards: int) -> Finding | None:
        """A generator or a second network whose own optimiser is never stepped."""
        count = num_optimizers(chart)
        stepped = {int(row.get("optimizer") or 0) for row in chart.steps}
        idle = sorted(set(range(count)) - stepped)
        if count < 2 or not idle or backwards < BACKWARDS:
            return None
        return self.finding(
            f"optimizer {idle[0] + 1} of {count} took 0 steps in {backwards} backward passes, and"
            f" another {chart.step}",
            do="step every optimizer after its own backward pass",
            confidence=0.9,
            evidence={"idle": idle, "backwards": backwards, "steps": chart.step},
        )


def sick() -> list[Chart]:
    """Eighty backward passes; a GAN whose generator's optimizer was forgotten."""
    still = {"*": {"changed": False}}
    return [training(1, facts={"backwards": 80}, params=still),
            training(1, step={"backwards": 80}, params=still),
            training(facts={"num_optimizers": 2, "backwards": 80})]  # fmt: skip


def healthy() -> list[Chart]:
    """One step for each backward pass; weights that are moved by hand; a start; two take turns."""
    by_hand = {"optimizers": [], "num_optimizers": 0, "backwards": 80}
    turns = {"optimizer": lambda t: t % 2}
    return [training(facts={"backwards": 40}), training(1, facts=by_hand), training(1),
            training(facts={"num_optimizers": 2, "backwards": 80}, step=turns)]  # fmt: skip


CHECKS = {NoStep.id: NoStep()}
