"""A parameter without a gradient cannot learn, though the optimiser holds it."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import parameter_place, spoken, weights

SAMPLINGS, SHARE = 3, 0.3


class ParamsNoGrad(Check):
    """Trainable weights that never get a gradient (a symptom: the root is elsewhere)."""

    id = "params-no-grad"
    signal = "gradients that are None or exactly 0, of weights that an optimiser holds"
    threshold = f"on {SAMPLINGS} sampled steps, and {SHARE:.0%} of the weights"
    source = "torch-audit TA104, TheDeepChecker"
    why = "what gets no gradient stays as it was drawn"
    do = "look for .detach(), .data, .item(), no_grad() or numpy between this layer and the loss"
    bad = "features = trunk(x).detach(); loss = F.cross_entropy(head(features), y)"
    good = "features = trunk(x); loss = F.cross_entropy(head(features), y)"
    explains = (
        "weights-not-updating", "graph-detached", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """A small spare branch is legal, and so is a trunk that came trained."""
        if chart.facts.get("pretrained"):
            return None
        mine = [t for t in weights(chart) if t.facts.get("in_optimizer", True)]
        without = [trace for trace in mine if _never(trace)]
        size = sum(t.facts.get("numel") or 1 for t in without)
        total = sum(t.facts.get("numel") or 1 for t in mine)
        if not without or (size < SHARE * total and len(without) < SHARE * len(mine)):
            return None
        every = [t for t in chart.params.values() if t.facts.get("requires_grad", True)
                 and t.facts.get("in_optimizer", True)]  # fmt: skip
        return self.finding(
            f"{sum(map(_never, every))} of {len(every)} trainable parameters got no gradient in"
            f" any step, {spoken(without[0])} first",
            where=parameter_place(without[0]),
            confidence=0.75,
            evidence={"weights": [trace.name for trace in without][:20]},
        )


def _never(trace: Trace) -> bool:
    rows = [row for row in trace.rows if "grad_none" in row or row.get("grad_norm") is not None]
    silent = [row for row in rows if row.get("grad_none") or row.get("grad_norm") == 0]
    moved = len({row.get("weight_norm") for row in rows}) > 1  # by other means: an average
    return len(rows) >= SAMPLINGS and len(silent) == len(rows) and not moved


def sick() -> list[Chart]:
    """Features that are detached before the head."""
    none = {"grad_none": True, "grad_norm": None, "changed": False, "update_ratio": 0.0}
    return [training(params={"fc1.weight": none, "fc2.weight": none})]


def healthy() -> list[Chart]:
    """A spare head; a trunk not in the optimiser; an averaged copy; a zero gradient at times."""
    none = {"grad_none": True, "grad_norm": None, "changed": False}
    follows = {**none, "weight_norm": lambda t: 4.6 + 0.01 * t}
    held_out = {**none, "facts": {"in_optimizer": False}}
    return [
        training(params={"spare.weight": {**none, "facts": {"shape": [10, 64], "numel": 640}}}),
        training(params={"fc1.weight": held_out, "fc2.weight": held_out}),
        training(params={"fc1.weight": follows, "fc2.weight": follows}),
        training(params={"*": {"grad_norm": lambda t: 0.0 if t % 3 == 0 else 0.2}}),
    ]


CHECKS = {ParamsNoGrad.id: ParamsNoGrad()}
