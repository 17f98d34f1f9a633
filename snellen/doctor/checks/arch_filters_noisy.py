"""Filters that are rougher after training than a random draw have learnt noise."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed

ROUGHER, STEPS = 1.15, 100


class FiltersNoisy(Check):
    """The first convolution's power at high frequencies, at the end and at the start."""

    id = "arch-filters-noisy"
    level = "advice"
    signal = "share of the first filters' power above half of Nyquist, last over first"
    threshold = ROUGHER
    source = "CS231n notes, learning: nice and noisy filters of the first layer"
    why = "the filters answer to noise: not converged, a rate too high, or too little decay"
    do = "train longer, lower the learning rate, or add weight decay"
    bad = "SGD(net.parameters(), lr=1.0)"
    good = "SGD(net.parameters(), lr=0.01, weight_decay=1e-4)"

    def look(self, chart: Chart) -> Finding | None:
        """Advice: inputs that were whitened give rough filters by right."""
        rows = [row for row in probed(chart, "filters") if row.get("rough") is not None]
        if len(rows) < 2 or rows[-1]["step"] - rows[0]["step"] < STEPS or rows[0]["rough"] <= 0:
            return None
        ratio = rows[-1]["rough"] / rows[0]["rough"]
        if ratio < ROUGHER:
            return None
        return self.finding(
            f"{rows[-1]['rough']:.0%} of the first filters' power is at high frequencies; it was"
            f" {rows[0]['rough']:.0%} when they were drawn",
            confidence=0.55,
            evidence={"rough": rows[-1]["rough"], "at_start": rows[0]["rough"]},
        )


def sick() -> list[Chart]:
    """From 40 % to 80 %."""
    return [training(sick=(answer("filters", 3, rough=0.4), answer("filters", 400, rough=0.8)))]


def healthy() -> list[Chart]:
    """Smoother than it was."""
    return [training(sick=(answer("filters", 3, rough=0.4), answer("filters", 400, rough=0.2)))]


CHECKS = {FiltersNoisy.id: FiltersNoisy()}
