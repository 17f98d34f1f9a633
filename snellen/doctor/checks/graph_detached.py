"""Where the graph is cut, what lies before cannot learn, though the result depends on it."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed, short

EFFECT = 1e-5
BETWEEN = (
    "let the graph stand where this network is to learn: fake = maker(z) once, judge(fake.detach())"
    " in the other's loss, and judge(fake) in its own"
)


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
        if chart.facts.get("pretrained"):
            return None
        return self._inside(chart) or self._between(chart)

    def _inside(self, chart: Chart) -> Finding | None:
        rows = probed(chart, "effects")
        if not rows:
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

    def _between(self, chart: Chart) -> Finding | None:
        """A network whose output another takes in, cut off every time."""
        rows = [row for row in probed(chart, "cuts") if row.get("parameters")]
        if not rows:
            return None
        first, line = rows[0], rows[0].get("line")
        spot = {"file": line[0], "line": line[1]} if line else {}
        return self.finding(
            f"what {first.get('kind')} puts out reaches {first.get('into')} without its graph, and"
            f" its {first.get('count')} parameters never got a gradient",
            do=BETWEEN,
            where={"parameter": first["parameters"][0], **spot},
            confidence=0.85,
            evidence={"passes": first.get("passes"), "parameters": first["parameters"]},
        )


def sick() -> list[Chart]:
    """Features that are detached before the head; a generator that is judged without its graph."""
    none = {"grad_none": True, "grad_norm": None, "changed": False, "update_ratio": 0.0}
    cut = answer("effects", 20, silent=["fc1.weight"], count=2, effect=0.04,
                 by_parameter={"fc1.weight": 0.02, "fc2.weight": 0.03})  # fmt: skip
    apart = answer("cuts", 60, network="", kind="Maker", into="Judge", passes=40, count=4,
                   line=["gan.py", 8], parameters=["fc1.weight", "fc2.weight"])  # fmt: skip
    silent = {"fc1.weight": none, "fc2.weight": none}
    return [training(params=silent, sick=(cut,)), training(params=silent, sick=(apart,))]


def healthy() -> list[Chart]:
    """A spare head, which changes nothing; a frozen trunk that came trained."""
    spare = answer("effects", 20, count=1, effect=0.0, by_parameter={"spare.weight": 0.0})
    trunk = answer("effects", 20, count=1, effect=0.3, by_parameter={"fc1.weight": 0.3})
    return [training(sick=(spare,)), training(facts={"pretrained": True}, sick=(trunk,))]


CHECKS = {Detached.id: Detached()}
