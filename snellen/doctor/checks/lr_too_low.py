"""Steps a hundred times below the usual thousandth of a weight's size get nowhere."""

import math
from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import (
    finite,
    is_flat,
    losses,
    lr_is_steady,
    lr_now_and_peak,
    one_digit,
    short,
    starts_low,
    surer,
    update_ratios,
)

USUAL, FLAT, STEPS = 1e-3, 0.02, 20


class LearningRateTooLow(Check):
    """Updates far below the usual share of a weight's size, and a loss that does not move."""

    id = "lr-too-low"
    signal = "|dw| / |w| a step, median over the weights and the first 20 steps; and a flat loss"
    threshold = 3e-5
    source = "notes 003, ratio of updates to weights; healthy trainings measure 2.5e-4 and more"
    why = "at this rate the weights need tens of thousands of steps to move by their own size"
    do = "multiply the learning rate by ten until the loss moves, or take the value given here"
    bad = "optimizer = torch.optim.Adam(net.parameters(), lr=1e-7)"
    good = "optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)"
    explains = (
        "weights-not-updating", "gen-underfit", "gen-stopped-early",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Quiet in warm-ups and cosine tails, in fine-tuning, and before 20 steps."""
        ratios = [ratio for ratio, _ in update_ratios(chart, STEPS)]
        if len(chart.column("loss")) < STEPS or not ratios or not lr_is_steady(chart):
            return None
        typical = median(ratios)
        lost = typical == 0 and _moves_by_rounding(chart)
        if typical >= self.threshold or (typical == 0 and not lost):
            return None
        if not is_flat(losses(chart), FLAT) or starts_low(chart):
            return None
        series, lr = losses(chart), lr_now_and_peak(chart)[1]
        better = lr * min(1e6, USUAL / typical) if typical else 1e-3
        return self.finding(
            f"one step moves the weights by {short(typical)} of their size (about {USUAL} is usual)"
            f"; the loss went from {short(series[0])} to {short(series[-1])} in {chart.step} steps",
            settings={"lr": one_digit(better)} if lr else {},
            confidence=surer(typical, self.threshold, 0.7, 0.95),
            evidence={"update_ratio": typical, "lr": lr},
        )


def _moves_by_rounding(chart: Chart) -> bool:
    """There are gradients and a rate, yet nothing moves: updates are lost in rounding."""
    lr = lr_now_and_peak(chart)[1]
    grads = [g for t in chart.params.values() for g in finite(t.column("grad_norm"))]
    held = all(trace.facts.get("in_optimizer", True) for trace in chart.params.values())
    return 0 < lr < 1e-6 and held and bool(grads) and median(grads) > 0


def sick() -> list[Chart]:
    """Adam at 1e-8, the loss stays at ln 10; SGD at 1e-12, lost in rounding."""
    still = {"loss": lambda t: 2.303 - 1e-5 * t, "lr": 1e-8}
    slow = {"*": {"update_ratio": 2e-7, "update_norm": 1e-6}}
    lost = {"*": {"update_ratio": 0.0, "update_norm": 0.0, "changed": False}}
    return [training(params=slow, step=still),
            training(params=lost, step={**still, "lr": 1e-12})]  # fmt: skip


def healthy() -> list[Chart]:
    """Warm-up, the tail of a cosine, fine-tuning, a slow but falling loss."""
    slow = {"*": {"update_ratio": 2e-6}}
    rising = {"lr": lambda t: 1e-9 * (t + 1), "loss": 2.3}
    tail = {"lr": lambda t: 1e-3 * (1 + math.cos(math.pi * t / 39)) / 2 + 1e-12, "loss": 2.3}
    return [
        training(params=slow, step=rising),
        training(params={"*": {"update_ratio": lambda t: 1e-5 * (40 - t)}}, step=tail),
        training(params=slow, step={"loss": 0.31, "lr": 1e-5}),
        training(params={"*": {"update_ratio": 2e-5}}),
    ]


CHECKS = {LearningRateTooLow.id: LearningRateTooLow()}
