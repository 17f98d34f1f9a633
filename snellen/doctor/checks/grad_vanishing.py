"""Gradients that shrink layer by layer leave the first layers where they started."""

from statistics import median

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import (
    finite,
    has_weights,
    num_optimizers,
    place,
    probed,
    progress,
    short,
    surer,
)

RATIO, SIZE, ROWS = 1e-3, 1e-4, 3
LEARNT, STEPS = 0.25, 40  # by time: fall of the loss, and steps before it is judged


class GradVanishing(Check):
    """The gradient at the first layer's output a thousand times below that at the last."""

    id = "grad-vanishing"
    signal = "norm of the loss's gradient at the first and the last layer, or time step"
    threshold = {"first/last": RATIO, "first": SIZE}
    source = "AUTOTRAINER (1e-3 and 1e-4); the lowest healthy ratio measured is 0.10"
    why = "the first layers stay as they were drawn; only the last ones learn"
    do = "ReLU instead of sigmoid or tanh, batch norm, or shortcuts; He initialisation"
    bad = "[nn.Linear(64, 64), nn.Sigmoid()] * 10"
    good = "[nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU()] * 10"
    explains = (
        "lr-too-low", "weights-not-updating", "params-no-grad", "output-constant", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Median over the samplings after the second step (zero heads have woken by then).

        A layer that is called again and again is a cell: its calls are time, not depth.
        """
        if num_optimizers(chart) > 1:
            return None
        sizes = [(size, trace) for trace in chart.layers.values() if (size := _size(trace)) >= 0
                 and f"{trace.name.partition('#')[0]}#2" not in chart.layers]  # fmt: skip
        if len(sizes) < 3:
            return self._by_time(chart)
        (first, layer), (last, _) = sizes[0], sizes[-1]
        if last <= 0 or first >= SIZE or first / last >= RATIO or _is_narrow(sizes):
            return self._by_time(chart)
        return self.finding(
            f"the gradient is {short(last)} at the last layer and {short(first)} at the first"
            f" ({layer.name}): {short(first / last)} of it",
            where=place(layer),
            confidence=surer(first / last, RATIO, 0.7, 0.9),
            evidence={"by_depth": {trace.name: size for size, trace in sizes[:40]}},
        )

    def _by_time(self, chart: Chart) -> Finding | None:
        """Only where the loss stays high: a new LSTM forgets fast, and learns to remember."""
        rows = [row for row in probed(chart, "horizon") if row.get("ratio") is not None]
        late = [row for row in rows if row.get("last") or row["step"] >= STEPS]
        if not late or chart.step < STEPS or progress(chart) > LEARNT:
            return None
        if any(row["ratio"] >= RATIO for row in rows):
            return None
        last = late[-1]
        return self.finding(
            f"the loss's gradient at the first of {last.get('steps', 0)} time steps of"
            f" {last.get('module')} is {short(last['ratio'])} of the largest",
            do="LSTM or GRU with the forget bias at 1; shorter sequences; orthogonal weights",
            where={"module": last.get("module")},
            confidence=surer(max(last["ratio"], 1e-30), RATIO, 0.72, 0.9),
            evidence={"by_time": last.get("sizes"), "ratio": last["ratio"]},
        )


def _is_narrow(sizes: list[tuple[float, Trace]]) -> bool:
    """Whether the gradient is small at some of the first layers only: it has come all the way.

    Queries and keys get little while attention is even, and the block that they begin gets enough.
    """
    first = [size for size, _ in sizes[: max(1, len(sizes) // 3)]]
    return max(first) >= min(SIZE, RATIO * sizes[-1][0])


def _size(trace: Trace) -> float:
    """Median gradient norm at a weight layer's output; -1 where it was not measured."""
    rows = [row for row in trace.rows if row["step"] >= 2 and row.get("grad_norm") is not None]
    norms = finite(row["grad_norm"] for row in rows)
    return median(norms) if has_weights(trace) and len(norms) >= ROWS else -1.0


def sick() -> list[Chart]:
    """A deep sigmoid network: a factor of 50 lost with each layer."""
    fading = {"fc1": 1e-9, "relu1": 2e-8, "fc2": 5e-7, "relu2": 2e-5, "head": 0.03}
    layers = {name: {"grad_norm": size, "grad_mean_abs": size} for name, size in fading.items()}
    short_sighted = tuple(answer("horizon", t, module="cell", steps=60, ratio=1e-9, last=t == 60)
                          for t in (20, 60))  # fmt: skip
    return [training(layers=layers, step={"loss": 2.303}),
            training(60, step={"loss": 2.303}, sick=short_sighted)]  # fmt: skip


def healthy() -> list[Chart]:
    """A tenth lost; a zero head, which passes nothing at first; a frozen trunk; all converged;
    queries and keys while attention is even."""
    asleep = {"grad_norm": lambda t: 0.0 if t < 1 else 0.01}
    frozen = {"grad_norm": None, "grad_mean_abs": None}
    sizes = {"fc1": 3e-6, "fc2": 4e-6, "head": 2e-4, "out0": 5e-3, "query1": 3e-6, "key1": 3e-6,
             "value1": 2e-4, "out1": 5e-3, "top": 0.17}  # fmt: skip
    linear = {"kind": "Linear"}  # the first three stand for query, key and value
    blocks = {name: {"grad_norm": size, "facts": linear} for name, size in sizes.items()}
    done = {"grad_norm": lambda t: 0.02 * 10 ** (-t / 8)}
    return [
        training(layers={"fc1": {"grad_norm": 0.003}}),
        training(layers={"fc1": asleep, "fc2": asleep}),
        training(layers={"fc1": frozen, "fc2": frozen}),
        training(layers={"*": done}),
        training(layers=blocks),
        training(60, sick=(answer("horizon", 60, module="cell", steps=28, ratio=1e-7),)),
    ]


CHECKS = {GradVanishing.id: GradVanishing()}
