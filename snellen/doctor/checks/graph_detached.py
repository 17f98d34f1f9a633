"""Where the graph is cut, what lies before cannot learn, though the result depends on it."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed, short

EFFECT = 1e-5


class Detached(Check):
    """Parameters that change the loss when they are moved, and never get a gradient."""

    id = "graph-detached"
    level = "error"
    signal = "change of the loss (else of the output) when a parameter without gradient is moved"
    threshold = EFFECT
    source = "PyTorch, autograd mechanics; TrainCheck"
    why = "the optimiser has nothing to go by: these layers stay as they were drawn"
    do = "remove .detach(), .data, .item(), no_grad() or .numpy() between this layer and the loss"
    bad = "features = trunk(x).detach(); loss = F.cross_entropy(head(features), y)"
    good = "features = trunk(x); loss = F.cross_entropy(head(features), y)"
    explains = ("params-no-grad", "weights-not-updating", "optim-missing-params", "lr-too-low",
                "gen-underfit", "grad-vanishing", "output-constant")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Not of a trunk that came trained, nor of an averaged copy, which changes all the same."""
        rows = probed(chart, "effects")
        if not rows or chart.facts.get("pretrained"):
            return None
        moving = [name for name, size in (rows[-1].get("by_parameter") or {}).items()
                  if size > EFFECT]  # fmt: skip
        if not moving or rows[-1].get("effect", 0) <= EFFECT:
            return None
        return self.finding(
            f"{rows[-1].get('count', len(moving))} parameters never got a gradient, yet moving"
            f" them by 5 % changes the result by {short(rows[-1]['effect'])}: {moving[-1]} is the"
            " last before the cut",
            where={"parameter": moving[-1], "module": moving[-1].rpartition(".")[0]},
            confidence=0.92,
            evidence={"by_parameter": rows[-1].get("by_parameter")},
        )


def sick() -> list[Chart]:
    """Features that are detached before the head."""
    none = {"grad_none": True, "grad_norm": None, "changed": False, "update_ratio": 0.0}
    cut = answer("effects", 20, silent=["fc1.weight"], count=2, effect=0.04,
                 by_parameter={"fc1.weight": 0.02, "fc2.weight": 0.03})  # fmt: skip
    return [training(params={"fc1.weight": none, "fc2.weight": none}, sick=(cut,))]


def healthy() -> list[Chart]:
    """A spare head, which changes nothing; a frozen trunk that came trained."""
    spare = answer("effects", 20, count=1, effect=0.0, by_parameter={"spare.weight": 0.0})
    trunk = answer("effects", 20, count=1, effect=0.3, by_parameter={"fc1.weight": 0.3})
    return [training(sick=(spare,)), training(facts={"pretrained": True}, sick=(trunk,))]


CHECKS = {Detached.id: Detached()}
