"""An optimiser keeps the parameters that it was given; a layer replaced later is not among them."""

from typing import Any

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import finite, parameter_place, probed, weights

FEW = 2  # more tensors outside the network are a network of their own, kept as it is by choice


class MissingParams(Check):
    """Weights that get gradients and that no optimiser holds."""

    id = "optim-missing-params"
    level = "error"
    signal = "trainable weights with gradients that are in no optimiser"
    threshold = 1
    source = "TrainCheck; PyTorch, torch.optim: constructing it"
    why = "gradients are computed for it, and nothing ever uses them"
    do = "build the optimiser after the network is complete; set requires_grad=False on the rest"
    bad = "optimizer = SGD(net.parameters()); net.head = nn.Linear(64, 10)"
    good = "net.head = nn.Linear(64, 10); optimizer = SGD(net.parameters())"
    explains = ("weights-not-updating", "params-no-grad", "lr-too-low", "loop-no-zero-grad",
                "gen-underfit")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Quiet where no optimiser is known, and for a trunk that came trained."""
        if not chart.facts.get("optimizers"):
            return None
        every = [trace for trace in weights(chart) if not _is_strange(trace)]
        missing, idle = [t for t in every if _is_missing(t)], _idle(chart)
        if missing and idle and len(missing) == len(every):
            return self._another(missing, idle)
        if (far := self._forgotten(chart)) is not None:
            return far
        if chart.facts.get("pretrained") or (len(missing) == len(every) and _moves_input(chart)):
            return None
        if not missing:
            return self._outside(chart)
        early = not idle and _lie_before(missing, every, chart)
        replaced = f"; {_spoken(idle)}: layers were replaced after it was built" if idle else ""
        return self.finding(
            f"{len(missing)} of {len(every)} trainable weights get gradients but are in no"
            f" optimiser, {missing[0].name} first{replaced}",
            level="warning" if early else self.level,
            where=parameter_place(missing[0]),
            confidence=0.7 if early else 0.93,
            evidence={"weights": [trace.name for trace in missing][:20]},
        )

    def _another(self, missing: list[Trace], idle: int) -> Finding:
        """None of what is trained is held, and nothing of what is held is used."""
        return self.finding(
            f"{_spoken(idle)}, and the network's {len(missing)} weights that get gradients are in"
            f" no optimiser ({missing[0].name} first): it was built over another network, or over"
            " this one before it was made anew or copied",
            where=parameter_place(missing[0]),
            do="build the optimiser over the network that is trained, after its last change:"
            " SGD(net.parameters())",
            confidence=0.97,
            evidence={"weights": [trace.name for trace in missing][:20], "idle": idle},
        )

    def _forgotten(self, chart: Chart) -> Finding | None:
        """A network of its own behind the trained one, new and never moved."""
        rows = [row for row in probed(chart, "forgotten") if row.get("weights")]
        names = rows[-1]["weights"] if rows and rows[-1] == probed(chart, "forgotten")[-1] else []
        if not names or any(chart.params[n].facts.get("in_optimizer") for n in names
                            if n in chart.params):  # fmt: skip
            return None  # it was held later: a critic's turn comes first
        kind = names[0].partition(".")[0]
        return self.finding(
            f"{rows[-1]['count']} parameters of {kind}, {names[0]} first, get gradients but are in"
            " no optimiser: the optimiser holds only the network in front of it",
            where={"parameter": names[0], "module": names[0].rpartition(".")[0]},
            do=f"give it both: [*trunk.parameters(), *{kind.lower()}.parameters()]; where it is to"
            " stay as it is, requires_grad_(False)",
            since=rows[0]["step"],
            confidence=0.9,
            evidence={"weights": names[:20]},
        )

    def _outside(self, chart: Chart) -> Finding | None:
        """Parameters of the loss itself, say, that nobody updates; many are another network's."""
        rows = [r for r in probed(chart, "strays") if not r.get("hidden") and r.get("together")]
        still = [row for row in rows if row.get("unmoved") and row.get("parameters")]
        if len(still) < 2:
            return None
        if trunk := still[-1].get("trunk"):
            return self._trunk(trunk, still)
        count = still[-1]["unmoved"]
        return self.finding(
            f"{count} parameters outside the network get gradients from its loss but are in no"
            f" optimiser ({still[-1].get('numel', 0)} values)",
            level="warning" if count <= FEW else "advice",
            do="give them to the optimiser: [*net.parameters(), *criterion.parameters()]",
            since=still[0]["step"],
            confidence=0.75,
            evidence={"parameters": count},
        )

    def _trunk(self, shapes: list[list[int]], rows: list[dict[str, Any]]) -> Finding:
        """A network of its own in front of the trained one, new and never moved."""
        return self.finding(
            f"data reach the network through {len(shapes)} parameters that are not its own"
            f" (shapes {', '.join(map(str, shapes[:3]))}{' ...' if len(shapes) > 3 else ''}):"
            " they get gradients, are in no optimiser, and are still as they were drawn",
            do="give the optimiser both: [*trunk.parameters(), *head.parameters()]; where the trunk"
            " is to stay as it is, requires_grad_(False)",
            since=rows[0]["step"],
            confidence=0.88,
            evidence={"parameters": len(shapes), "shapes": shapes[:20]},
        )


def _moves_input(chart: Chart) -> bool:
    """Whether what is optimised is what the network is shown: style transfer, a dream."""
    return any(row.get("starts") for row in probed(chart, "strays"))


def _lie_before(missing: list[Trace], mine: list[Trace], chart: Chart) -> bool:
    """Whether all of them come before those that are held: only a head is trained, by choice?"""
    depth = {name: i for i, name in enumerate(chart.layers)}
    held = [depth.get(t.facts.get("module", ""), -1) for t in mine if t not in missing]
    lost = [depth.get(t.facts.get("module", ""), -1) for t in missing]
    return bool(held) and -1 not in held and max(lost) < min(held)


def _is_strange(trace: Trace) -> bool:
    """Held by an optimiser, and of no network that was called."""
    return "shape" not in trace.facts and trace.name.startswith("optimizer")


def _idle(chart: Chart) -> int:
    """How many parameters an optimiser holds that belong to no network and never get gradients."""
    strange = [trace for trace in chart.params.values() if _is_strange(trace)]
    return sum(all(trace.column("grad_none")) for trace in strange if trace.column("grad_none"))


def _spoken(idle: int) -> str:
    return f"the optimiser holds {idle} parameters that no forward pass uses"


def _is_missing(trace: Trace) -> bool:
    return trace.facts.get("in_optimizer") is False and any(
        norm > 0 for norm in finite(trace.column("grad_norm"))
    )


def sick() -> list[Chart]:
    """A head that was replaced after the optimiser was built; a trunk that it was not told of."""
    lost = {"facts": {"in_optimizer": False}, "changed": False, "update_ratio": 0.0}
    outside = {"hidden": [], "lost": 1, "parameters": 1, "together": True, "numel": 640}
    own = tuple(answer("strays", t, unmoved=int(t > 2), **outside) for t in (2, 5, 12))
    before = {**outside, "lost": 4, "parameters": 4, "trunk": [[64, 784], [64]]}
    trunk = tuple(answer("strays", t, unmoved=4 * (t > 2), **before) for t in (2, 5, 12))
    idle = {"grad_none": True, "grad_norm": None, "changed": False, "update_ratio": 0.0}
    behind = answer("forgotten", 5, weights=["Linear.weight"], count=2)
    strange = tuple({"kind": "param", "step": t, "name": f"optimizer0.0.{i}", "values": idle}
                    for t in range(4) for i in range(2))  # fmt: skip
    return [training(params={"head.weight": lost}), training(sick=own),
            training(params={"*": lost}, sick=strange),
            training(sick=(behind,)), training(sick=trunk)]  # fmt: skip


def healthy() -> list[Chart]:
    """Frozen; an averaged copy; a perceptual loss (advice); held later; style transfer."""
    frozen = {"facts": {"in_optimizer": False, "requires_grad": False}, "changed": False}
    looks = {"facts": {"in_optimizer": False}, "changed": False, "update_ratio": None}
    moved = answer("strays", 2, hidden=[], lost=0, parameters=0, together=True, unmoved=0, starts=1)
    copy = {"facts": {"in_optimizer": False}, "grad_norm": None, "grad_none": True}
    eyes = {"hidden": [], "lost": 26, "parameters": 26, "together": True, "unmoved": 26}
    perceptual = tuple(answer("strays", t, **eyes) for t in (5, 12))
    return [training(params={"fc1.weight": frozen}), training(params={"fc1.weight": copy}),
            training(sick=perceptual), training(params={"*": looks}, sick=(moved,)),
            training(sick=(answer("forgotten", 5, weights=["D.weight"], count=1),
                           answer("forgotten", 12, weights=[], count=0)))]  # fmt: skip


CHECKS = {MissingParams.id: MissingParams()}
