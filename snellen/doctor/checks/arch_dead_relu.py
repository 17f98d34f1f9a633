"""A ReLU unit that is silent on every sample gets no gradient and never wakes."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import activation_of, place, surer

SILENT = ("relu", "relu6", "threshold", "hardtanh")


class DeadReLU(Check):
    """Most units of a ReLU layer silent on every sample, and not recovering."""

    id = "arch-dead-relu"
    signal = "share of a ReLU layer's units that are zero on every sample"
    threshold = 0.7
    source = "AUTOTRAINER and DeepDiagnosis 0.7; healthy trainings measure up to 0.30"
    why = "a silent unit passes no gradient: that part of the network has stopped learning"
    do = "lower the learning rate, start biases at 0, or use leaky ReLU; normalise the inputs"
    bad = "nn.Linear(64, 64), nn.ReLU()  # after a step that was ten times too large"
    good = "nn.Linear(64, 64), nn.LeakyReLU(0.1)"
    explains = (
        "params-no-grad", "weights-not-updating", "output-constant", "grad-vanishing",
        "lr-too-low", "init-too-small", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """The worst layer over its last three samplings, where it is not getting better."""
        dead = [(share, trace) for trace in chart.layers.values() if (share := _dead(trace))]
        if not dead or (chart.facts.get("batch_size") or 8) < 8:
            return None
        share, worst = max(dead, key=lambda pair: pair[0])
        return self.finding(
            f"{share:.0%} of the units of {worst.name} are silent on every sample",
            level="error" if share > 0.999 else self.level,
            where=place(worst),
            since=_since(worst),
            confidence=surer(share / (1.001 - share), 0.7 / 0.3, 0.65, 0.9),
            evidence={"layers": {trace.name: round(s, 3) for s, trace in dead[:20]}},
        )


def _dead(trace: Trace) -> float:
    """The share where it is over the threshold on the last three samplings; else 0."""
    shares = trace.column("dead_share")
    if activation_of(trace) not in SILENT or len(shares) < 3:
        return 0.0
    last = shares[-3:]
    recovering = last[-1] < max(shares) - 0.1
    return min(last) if min(last) > DeadReLU.threshold and not recovering else 0.0


def _since(trace: Trace) -> int:
    rows = [row for row in trace.rows if "dead_share" in row]
    alive = [row["step"] for row in rows if row["dead_share"] <= DeadReLU.threshold]
    return max(alive, default=0)


def sick() -> list[Chart]:
    """A hidden layer that died at step 5; one that was dead from the start."""
    died = {"dead_share": lambda t: 0.1 if t < 5 else 0.94}
    return [
        training(layers={"relu2": died}),
        training(layers={"relu1": {"dead_share": 1.0, "std": 0.0}}, step={"loss": 2.3}),
    ]


def healthy() -> list[Chart]:
    """30 % silent; waking up; a tanh layer, whose zeros mean nothing; a batch of one."""
    waking = {"dead_share": lambda t: 0.95 - 0.02 * t}
    return [
        training(layers={"relu1": {"dead_share": 0.3}, "relu2": {"dead_share": 0.28}}),
        training(layers={"relu1": waking}),
        training(layers={"relu1": {"dead_share": 0.9, "facts": {"activation": "sigmoid"}}}),
        training(layers={"relu1": {"dead_share": 0.8}}, facts={"batch_size": 1}),
    ]


CHECKS = {DeadReLU.id: DeadReLU()}
