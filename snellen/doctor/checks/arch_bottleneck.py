"""A layer so narrow that the classes do not fit through."""

import math

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import has_weights, losses, num_classes, num_optimizers, place, short

LEFT, STEPS = 0.4, 40


class Bottleneck(Check):
    """A hidden layer with fewer numbers than it takes to tell the classes apart."""

    id = "arch-bottleneck"
    signal = "width of each hidden layer beside log2 of the number of classes, and the loss left"
    threshold = {"width": "log2 of the classes", "loss left": LEFT}
    source = "notes 002, capacity; DeepFD"
    why = "what a layer throws away no later layer can bring back"
    do = "widen this layer: more numbers than there are classes"
    bad = "nn.Linear(64, 2), nn.ReLU(), nn.Linear(2, 10)"
    good = "nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)"
    explains = ("gen-underfit", "lr-too-low", "arch-dead-relu", "grad-vanishing")

    def look(self, chart: Chart) -> Finding | None:
        """Only where the loss stays high: two numbers hold ten classes after long training."""
        classes, series = num_classes(chart), losses(chart)
        if classes < 3 or num_optimizers(chart) > 1 or len(series) < STEPS:
            return None
        layers = [t for t in chart.layers.values() if has_weights(t) and _width(t)]
        layers = layers[:-1]
        tight = [t for t in layers if _width(t) < math.log2(classes)]
        last = sum(series[-10:]) / 10
        if not tight or last < LEFT * math.log(classes):
            return None
        worst = min(tight, key=_width)
        return self.finding(
            f"{worst.name} passes {_width(worst)} numbers on for {classes} classes; the loss is"
            f" still {short(last)}",
            where=place(worst),
            confidence=0.72,
            evidence={"width": _width(worst), "classes": classes, "loss": last},
        )


def _width(trace: Trace) -> int:
    return math.prod(list(trace.facts.get("out_shape") or ())[1:]) if trace.facts.get(
        "out_shape") else 0  # fmt: skip


def sick() -> list[Chart]:
    """Two numbers for ten classes."""
    layers = {"fc2": {"facts": {"out_shape": [64, 2]}}}
    return [training(50, layers=layers, step={"loss": lambda t: 2.3 - 0.005 * t})]


def healthy() -> list[Chart]:
    """Two numbers that were enough."""
    return [training(60, layers={"fc2": {"facts": {"out_shape": [64, 2]}}})]


CHECKS = {Bottleneck.id: Bottleneck()}
