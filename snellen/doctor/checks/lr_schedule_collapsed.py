"""A schedule that is stepped too often, or in whole numbers, ends the training early."""

import math

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short

SMALL, TAIL = 1e-4, 0.1


class ScheduleCollapsed(Check):
    """A learning rate that fell to nothing long before the end, or is zero from the start."""

    id = "lr-schedule-collapsed"
    level = "error"
    signal = "learning rate over its highest value, and for which share of the steps"
    threshold = {"lr/peak": SMALL, "share of the steps": TAIL}
    source = "notes 003, decay of the learning rate"
    why = "with a rate of nothing the rest of the training is spent on nothing"
    do = "scheduler.step() once an epoch where its numbers are epochs; / instead of //"
    bad = "for x, y in train: ...; scheduler.step()   # ExponentialLR(optimizer, 0.9)"
    good = "for epoch in range(90): ...; scheduler.step()"
    explains = ("weights-not-updating", "lr-too-low", "gen-underfit")

    def look(self, chart: Chart) -> Finding | None:
        """The last tenth of a cosine is not below a ten-thousandth: only its last 0.6 % is."""
        rows = [r for r in chart.steps if finite([r.get("lr")]) and not r.get("optimizer")]
        if len(rows) < 20:
            return None
        peak = max(row["lr"] for row in rows)
        alive = [row["step"] for row in rows if row["lr"] > SMALL * peak]
        last, since = rows[-1]["step"], max(alive, default=0)
        if peak > 0 and (last - since) <= max(TAIL * last, 10):
            return None
        return self.finding(
            f"the learning rate fell from {short(peak)} to {short(rows[-1]['lr'])} by step"
            f" {since + 1} of {last}"
            if peak > 0
            else f"the learning rate is 0 in all of {len(rows)} steps",
            since=since,
            confidence=0.92,
            evidence={"peak": peak, "last": rows[-1]["lr"]},
        )


def sick() -> list[Chart]:
    """0.7 a step; whole-number division."""
    return [training(120, step={"lr": lambda t: 0.1 * 0.7**t}), training(step={"lr": 0.0})]


def healthy() -> list[Chart]:
    """Cosine to zero; warm-up from zero; steps down by ten."""
    return [
        training(200, step={"lr": lambda t: 0.1 * (1 + math.cos(math.pi * t / 199)) / 2}),
        training(step={"lr": lambda t: 1e-3 * min(1, t / 30)}),
        training(90, step={"lr": lambda t: 0.1 * 0.1 ** (t // 30)}),
    ]


CHECKS = {ScheduleCollapsed.id: ScheduleCollapsed()}
