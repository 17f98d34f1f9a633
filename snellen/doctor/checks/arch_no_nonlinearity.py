"""Layers of weights with nothing between them are one layer, however many they are."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import activation_of, has_weights, probed, short

ERROR, LAYERS = 1e-4, 2


class NoNonlinearity(Check):
    """A network that adds: f(a) + f(b) - f(a + b) = f(0), with two layers of weights and more."""

    id = "arch-no-nonlinearity"
    signal = "f(a) + f(b) - f(a + b) - f(0) in eval mode, and the layers of weights in series"
    threshold = {"error": ERROR, "layers": LAYERS}
    source = "notes 002, activation functions: without one the layers collapse into one matrix"
    why = "the whole network is one affine map: more layers add parameters and nothing else"
    do = "nn.ReLU() after each layer but the last"
    bad = "nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 10))"
    good = "nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))"
    explains = ("gen-underfit", "arch-bottleneck")

    def look(self, chart: Chart) -> Finding | None:
        """Each time it was asked; a narrow layer between wide ones may be meant (PCA, LoRA)."""
        rows = probed(chart, "additivity")
        if not rows or not all(row.get("error", 1.0) < ERROR for row in rows):
            return None
        last = rows[-1]
        if last.get("layers", 0) < LAYERS or last.get("bent", _has_activation(chart)):
            return None
        meant = last.get("rank", 1 << 30) < min(last.get("widths") or [0])
        return self.finding(
            f"{last['layers']} layers of weights in series are one affine map: its additivity is"
            f" broken by {short(last['error'])} only",
            level="advice" if meant else self.level,
            confidence=0.6 if meant else 0.92,
            evidence={k: last[k] for k in ("error", "layers", "rank", "widths") if k in last},
        )


def _has_activation(chart: Chart) -> bool:
    """Whether one was heard before the last layer of weights, where no graph was looked at."""
    traces = list(chart.layers.values())
    places = [i for i, trace in enumerate(traces) if has_weights(trace)]
    return any(activation_of(trace) for trace in traces[: places[-1] if places else None])


def sick() -> list[Chart]:
    """Two linear layers; the same beside another head, which has an activation."""
    flat = [answer("additivity", t, error=3e-7, layers=2, rank=64, widths=[784, 10])
            for t in (4, 20, 40)]  # fmt: skip
    head = answer("additivity", 40, error=3e-7, layers=2, rank=64, widths=[784, 10], bent=False)
    return [_without(training(sick=tuple(flat))), training(sick=(head,))]


def healthy() -> list[Chart]:
    """ReLU; one layer; branches that start at zero; a factorised matrix (advice)."""
    bent = answer("additivity", 20, error=0.4)
    one = answer("additivity", 20, error=2e-7, layers=1, rank=10, widths=[784, 10])
    asleep = answer("additivity", 4, error=1e-9, layers=4, rank=64, widths=[64, 10])
    thin = answer("additivity", 20, error=1e-7, layers=2, rank=3, widths=[64, 64])
    zero = answer("additivity", 4, error=1e-9, layers=4, rank=64, widths=[64, 10], bent=True)
    return [training(sick=(asleep, bent)), training(sick=(asleep,)),
            *(_without(training(sick=(row,))) for row in (one, thin, zero))]  # fmt: skip


def _without(chart: Chart) -> Chart:
    chart.layers = {name: t for name, t in chart.layers.items() if not activation_of(t)}
    return chart


CHECKS = {NoNonlinearity.id: NoNonlinearity()}
