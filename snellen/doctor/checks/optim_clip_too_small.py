"""Clipping to a hundredth of the gradient's size is a learning rate a hundred times lower."""

from statistics import mean, pstdev

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, progress, short, surer

SIZE, SPREAD, STEPS = 1e-2, 1e-3, 20


class ClipTooSmall(Check):
    """Gradients that always have one and the same, very small, norm."""

    id = "optim-clip-too-small"
    signal = "norm of the gradients when the optimiser gets them: constant and small"
    threshold = {"norm": SIZE, "std/mean": SPREAD}
    source = "a proposal of the fault catalogue; 1.0 is the usual clip"
    why = "every step is cut to the same tiny length, however far there is to go"
    do = "clip at 1.0"
    bad = "clip_grad_norm_(net.parameters(), 1e-4)"
    good = "clip_grad_norm_(net.parameters(), 1.0)"
    explains = (
        "lr-too-low", "weights-not-updating", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """With a loss that does not fall: under Adam the scale of a gradient means nothing."""
        norms = finite(chart.column("grad_norm"))
        if len(norms) < STEPS or not 0 < mean(norms) < SIZE or progress(chart) > 0.05:
            return None
        if pstdev(norms) > SPREAD * mean(norms):
            return None
        return self.finding(
            f"the gradient norm is {short(mean(norms))} on each of {len(norms)} steps",
            settings={"clip": 1.0},
            confidence=surer(mean(norms), SIZE, 0.8, 0.95),
            evidence={"norm": mean(norms), "std": pstdev(norms)},
        )


def sick() -> list[Chart]:
    """Clipped at 1e-4."""
    return [training(step={"grad_norm": 1e-4, "loss": 2.302})]


def healthy() -> list[Chart]:
    """Clipped at 1 all the time; clipped low under Adam, which learns all the same."""
    return [training(step={"grad_norm": 1.0}), training(step={"grad_norm": 1e-4})]


CHECKS = {ClipTooSmall.id: ClipTooSmall()}
