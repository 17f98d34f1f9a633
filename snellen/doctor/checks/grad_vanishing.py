"""Gradients that shrink layer by layer leave the first layers where they started."""

from statistics import median

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, has_weights, num_optimizers, place, short, surer

RATIO, SIZE, ROWS = 1e-3, 1e-4, 3


class GradVanishing(Check):
    """The gradient at the first layer's output a thousand times below that at the last."""

    id = "grad-vanishing"
    signal = "norm of the loss's gradient at the output of the first and of the last layer"
    threshold = {"first/last": RATIO, "first": SIZE}
    source = "AUTOTRAINER (1e-3 and 1e-4); the lowest healthy ratio measured is 0.10"
    why = "the first layers stay as they were drawn; only the last ones learn"
    do = "ReLU instead of sigmoid or tanh, batch norm, or shortcuts; He initialisation"
    bad = "[nn.Linear(64, 64), nn.Sigmoid()] * 10"
    good = "[nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()] * 10"
    explains = ("lr-too-low", "weights-not-updating", "params-no-grad", "output-constant")

    def look(self, chart: Chart) -> Finding | None:
        """Median over the samplings after the second step (zero heads have woken by then)."""
        if num_optimizers(chart) > 1:
            return None
        sizes = [(size, trace) for trace in chart.layers.values() if (size := _size(trace)) >= 0]
        if len(sizes) < 3:
            return None
        (first, layer), (last, _) = sizes[0], sizes[-1]
        if last <= 0 or first >= SIZE or first / last >= RATIO:
            return None
        return self.finding(
            f"the gradient is {short(last)} at the last layer and {short(first)} at the first"
            f" ({layer.name}): {short(first / last)} of it",
            where=place(layer),
            confidence=surer(first / last, RATIO, 0.7, 0.9),
            evidence={"by_depth": {trace.name: size for size, trace in sizes[:40]}},
        )


def _size(trace: Trace) -> float:
    """Median gradient norm at a weight layer's output; -1 where it was not measured."""
    rows = [row for row in trace.rows if row["step"] >= 2 and row.get("grad_norm") is not None]
    norms = finite(row["grad_norm"] for row in rows)
    return median(norms) if has_weights(trace) and len(norms) >= ROWS else -1.0


def sick() -> list[Chart]:
    """A deep sigmoid network: a factor of 50 lost with each layer."""
    fading = {"fc1": 1e-9, "relu1": 2e-8, "fc2": 5e-7, "relu2": 2e-5, "head": 0.03}
    layers = {name: {"grad_norm": size, "grad_mean_abs": size} for name, size in fading.items()}
    return [training(layers=layers, step={"loss": 2.303})]


def healthy() -> list[Chart]:
    """A tenth lost; a zero head, which passes nothing at first; a frozen trunk; all converged."""
    asleep = {"grad_norm": lambda t: 0.0 if t < 1 else 0.01}
    frozen = {"grad_norm": None, "grad_mean_abs": None}
    done = {"grad_norm": lambda t: 0.02 * 10 ** (-t / 8)}
    return [
        training(layers={"fc1": {"grad_norm": 0.003}}),
        training(layers={"fc1": asleep, "fc2": asleep}),
        training(layers={"fc1": frozen, "fc2": frozen}),
        training(layers={"*": done}),
    ]


CHECKS = {GradVanishing.id: GradVanishing()}
