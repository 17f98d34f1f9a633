"""Gradients that grow without bound throw the weights out of every useful region."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import seen, training
from ._readings import finite, num_optimizers, progress, short, surer, went_nonfinite

NORM, GROWTH = 1e3, 70.0


class GradExploding(Check):
    """A gradient norm that is large, grew many times over, and with a loss that does not fall."""

    id = "grad-exploding"
    signal = "norm of all gradients: its size, its growth, and the trend of the loss"
    threshold = {"norm": NORM, "growth": GROWTH}
    source = "torchmortem, neuraldbg 1e3; AUTOTRAINER 70"
    why = "one such step undoes all the ones before it"
    do = "clip the norm at 1.0, lower the learning rate, start from smaller weights"
    bad = "loss.backward(); optimizer.step()"
    good = "loss.backward(); clip_grad_norm_(net.parameters(), 1.0); optimizer.step()"
    explains = ("numerics-nan-loss", "arch-dead-relu", "arch-saturated")

    def look(self, chart: Chart) -> Finding | None:
        """Large gradients under a loss that falls are the loss's scale, not a fault."""
        norms = finite(chart.column("grad_norm"))
        if len(norms) < 2 or num_optimizers(chart) > 1:
            return None
        start, largest = median(norms[:2]), max(norms)
        if largest < NORM or largest < GROWTH * max(start, 1e-12):
            return None
        if not went_nonfinite(chart) and progress(chart) > 0.1:
            return None
        return self.finding(
            f"the gradient norm grew from {short(start)} to {short(largest)}",
            level="error" if went_nonfinite(chart) else self.level,
            settings={"clip": 1.0},
            since=next(r["step"] for r in chart.steps if r.get("grad_norm") == largest),
            confidence=surer(largest, NORM, 0.6, 0.85),
            evidence={"first": start, "largest": largest},
        )


def sick() -> list[Chart]:
    """Doubling with each step until it overflows."""
    growing = {"grad_norm": lambda t: 2.0**t, "loss": lambda t: 2.3 if t < 30 else float("inf")}
    return [training(31, step=growing, sick=(seen("nonfinite", 30, what="loss"),))]


def healthy() -> list[Chart]:
    """A summed loss under Adam: large and falling; one spike in a training that goes well."""
    summed = {"grad_norm": lambda t: 4e4 * 0.9**t, "loss": lambda t: 150 * 0.95**t}
    call = {"reduction": "sum", "value": summed["loss"]}
    spike = {"grad_norm": lambda t: 2e3 if t == 20 else 1.0}
    return [training(step=summed, loss_call=call), training(step=spike)]


CHECKS = {GradExploding.id: GradExploding()}
