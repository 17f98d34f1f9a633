"""A weight that is bit for bit the same after twenty steps is not being trained."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, lr_now_and_peak, parameter_place, spoken, weights

STEPS, ROWS = 20, 5


class WeightsNotUpdating(Check):
    """Trainable weights that no optimiser step changes (a symptom: the root is elsewhere)."""

    id = "weights-not-updating"
    level = "error"
    signal = "bitwise change of each weight over one optimiser step"
    threshold = f"none in {STEPS} steps with lr > 0"
    source = "TheDeepChecker (untrained parameters), torch-audit TA104, TrainCheck"
    why = "what does not change does not learn"
    do = "look for what holds it: missing in the optimizer, detached, lr 0, zero gradients"
    bad = "optimizer = SGD(net.parameters()); net.head = nn.Linear(64, 10)"
    good = "net.head = nn.Linear(64, 10); optimizer = SGD(net.parameters())"

    def look(self, chart: Chart) -> Finding | None:
        """Weights that an optimiser holds, that get gradients or none, and never move."""
        if chart.step < STEPS or (lr_now_and_peak(chart)[1] == 0 and len(chart.column("lr"))):
            return None
        mine = [trace for trace in weights(chart) if trace.facts.get("in_optimizer", True)]
        still = [trace for trace in mine if _never_moves(trace)]
        if not still or (len(still) < len(mine) and not any(_has_gradient(t) for t in still)):
            return None
        return self.finding(
            f"{len(still)} of {len(mine)} trainable weights are bit for bit the same after"
            f" {chart.step} steps, {spoken(still[0])} first",
            where=parameter_place(still[0]),
            confidence=0.9 if len(still) == len(mine) else 0.75,
            evidence={"weights": [trace.name for trace in still][:20]},
        )


def _never_moves(trace: Trace) -> bool:
    changes = [row["changed"] for row in trace.rows if row.get("changed") is not None]
    return len(changes) >= ROWS and not any(changes)


def _has_gradient(trace: Trace) -> bool:
    """A part of the network that the loss does not use is not ill; one with gradients is."""
    return any(norm > 0 for norm in finite(trace.column("grad_norm")))


def sick() -> list[Chart]:
    """Nothing moves; one layer does not move though it has gradients."""
    still = {"changed": False, "update_ratio": 0.0, "update_norm": 0.0}
    return [training(params={"*": still}, step={"loss": 2.303}),
            training(params={"head.weight": still})]  # fmt: skip


def healthy() -> list[Chart]:
    """A frozen trunk; a branch that the loss does not use; too few steps to say."""
    still = {"changed": False, "update_ratio": 0.0, "update_norm": 0.0}
    frozen = {**still, "facts": {"requires_grad": False, "in_optimizer": False}}
    unused = {**still, "grad_norm": 0.0, "grad_none": True}
    return [
        training(params={"fc1.weight": frozen, "fc2.weight": frozen}),
        training(params={"spare.weight": {**unused, "facts": {"shape": [5, 64]}}}),
        training(4, params={"*": still}),
    ]


CHECKS = {WeightsNotUpdating.id: WeightsNotUpdating()}
