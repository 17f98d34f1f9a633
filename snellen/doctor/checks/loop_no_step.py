"""backward() computes gradients; only optimizer.step() moves the weights."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training

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
        if not chart.facts.get("num_optimizers") or chart.step > 0 or max(backwards) < BACKWARDS:
            return None
        moved = any(row.get("changed") for t in chart.params.values() for row in t.rows)
        if moved:
            return None
        return self.finding(
            f"{max(backwards)} backward passes and 0 optimiser steps",
            confidence=0.97,
            evidence={"backwards": max(backwards), "steps": chart.step},
        )


def sick() -> list[Chart]:
    """Eighty backward passes."""
    still = {"*": {"changed": False}}
    return [training(1, facts={"backwards": 80}, params=still),
            training(1, step={"backwards": 80}, params=still)]  # fmt: skip


def healthy() -> list[Chart]:
    """One step for each backward pass; weights that are moved by hand; a start."""
    by_hand = {"optimizers": [], "num_optimizers": 0, "backwards": 80}
    return [training(facts={"backwards": 40}), training(1, facts=by_hand), training(1)]


CHECKS = {NoStep.id: NoStep()}
