"""Freezing is for layers that have learnt something; a new one keeps its random numbers."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import first_loss_is_low, probed, progress

SHARE, LEARNT = 0.1, 0.97


class FrozenLayer(Check):
    """Frozen weights that are still distributed as they are drawn; or nothing left to train."""

    id = "optim-frozen-layer"
    signal = "requires_grad off, and values uniform or normal as a new layer's are"
    threshold = {"share of the weights": SHARE, "loss fell by less than": LEARNT}
    source = "torch.nn.init: kaiming_uniform_(a=sqrt(5)) of Linear and convolutions; He, Glorot"
    why = "the layer passes random features on, and can never learn better ones"
    do = "load the trained weights before freezing, or leave requires_grad on"
    bad = "net = resnet18(); net.layer1.requires_grad_(False)"
    good = "net = resnet18(weights=...); net.layer1.requires_grad_(False)"
    explains = ("gen-underfit", "weights-not-updating", "params-no-grad", "graph-detached",
                "loop-no-step", "bn-stale-stats", "lr-too-low", "output-constant")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """At the end: a target network has been overwritten by then."""
        if _is_everything(chart):
            return self._everything(chart)
        rows = [row for row in probed(chart, "frozen") if row.get("new")]
        if not rows or rows[-1].get("share", 0) < SHARE or progress(chart) > LEARNT:
            return None
        if first_loss_is_low(chart):
            return None  # it could do its task before: trained, for some steps at least
        last, names = rows[-1], rows[-1]["new"]
        head = last.get("head") in names
        where = last["head"] if head else names[0]
        what = f"the last layer, {where}, is frozen" if head else f"{where} is frozen"
        if len(names) > 1:
            of = f" of {last['held']} layers" if last.get("held") else " layers"
            what = f"{len(names)}{of} are frozen, " + (
                f"the last one ({where}) too," if head else f"{where} first,"
            )
        return self.finding(
            f"{what} with the random numbers of a new layer: {last['share']:.0%} of the weights",
            do=_mend(names, where, head),
            where={"module": where},
            confidence=0.75,
            evidence={"layers": names[:20], "share": last["share"], "is_head": head},
        )

    def _everything(self, chart: Chart) -> Finding:
        count = chart.facts.get("tensors") or len(chart.params)
        first = next(iter(chart.params), "")
        return self.finding(
            f"all {count} parameters of the network are frozen (requires_grad is False), so no"
            " step can change anything",
            level="error",
            why="there is nothing left to learn with",
            do="unfreeze what is to learn: the last layer at least, for example"
            " net.head.requires_grad_(True), and then make the optimizer",
            where={"parameter": first} if first else {},
            confidence=0.96,
            evidence={"frozen": count},
        )


def _mend(names: list[str], where: str, head: bool) -> str:
    if head and len(names) == 1:
        return f"unfreeze it: net.{where}.requires_grad_(True), before the optimizer is made"
    others = f"net.{where}.requires_grad_(True)" + (" and so on" if len(names) > 1 else "")
    return f"load trained weights before freezing, or unfreeze: {others}"


def _is_everything(chart: Chart) -> bool:
    """All is frozen, and yet a step was taken on it or a loss sent backward."""
    facts, params = chart.facts, list(chart.params.values())
    stepped = any(t.facts.get("in_optimizer") for t in params) and all(
        t.facts.get("requires_grad") is False and not any(r.get("changed") for r in t.rows)
        for t in params
    )
    every = facts.get("tensors") and facts.get("tensors") == facts.get("frozen")
    return bool(every and (stepped or facts.get("loss_without_graph")))


def sick() -> list[Chart]:
    """A trunk frozen before its weights were loaded; a new head; all of it, thrice."""
    new = answer("frozen", 40, frozen=2, new=["fc1", "fc2"], share=0.9, held=3, head="head")
    head = answer("frozen", 40, frozen=1, new=["head"], share=0.3, held=3, head="head")
    falls = {"loss": lambda t: 2.3 * 0.98**t}
    still: dict[str, Any] = {"facts": {"requires_grad": False}, "grad_none": True, "changed": False}
    whole = {"tensors": 3, "frozen": 3}
    return [
        training(step=falls, sick=(new,)),
        training(step=falls, sick=(head,)),
        training(facts=whole, params={"*": still}, step={"loss": 2.3}),
        training(0, facts={**whole, "loss_without_graph": True, "num_optimizers": 0}),
    ]


def healthy() -> list[Chart]:
    """Frozen and trained before; one small layer of many; a frozen net whose input is changed."""
    return [
        training(sick=(answer("frozen", 40, frozen=2, new=[], share=0.0),)),
        training(sick=(answer("frozen", 40, frozen=1, new=["a"], share=0.01),)),
        training(0, facts={"tensors": 3, "frozen": 3, "num_optimizers": 1}),
    ]


CHECKS = {FrozenLayer.id: FrozenLayer()}
