"""Freezing is for layers that have learnt something; a new one keeps its random numbers."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed, progress

SHARE, LEARNT = 0.1, 0.97


class FrozenLayer(Check):
    """Frozen weights that are still distributed as PyTorch draws them."""

    id = "optim-frozen-layer"
    signal = "requires_grad off, and values uniform within 1/sqrt(fan_in) as of a new layer"
    threshold = {"share of the weights": SHARE, "loss fell by less than": LEARNT}
    source = "torch.nn.init: kaiming_uniform_(a=sqrt(5)) of Linear and convolutions"
    why = "the layer passes random features on, and can never learn better ones"
    do = "load the trained weights before freezing, or leave requires_grad on"
    bad = "net = resnet18(); net.layer1.requires_grad_(False)"
    good = "net = resnet18(weights=...); net.layer1.requires_grad_(False)"
    explains = ("gen-underfit", "weights-not-updating", "params-no-grad")

    def look(self, chart: Chart) -> Finding | None:
        """At the end: a target network has been overwritten by then."""
        rows = [row for row in probed(chart, "frozen") if row.get("new")]
        if not rows or rows[-1].get("share", 0) < SHARE or progress(chart) > LEARNT:
            return None
        names = rows[-1]["new"]
        return self.finding(
            f"{len(names)} of {rows[-1].get('frozen', len(names))} frozen layers hold the numbers"
            f" of a new one ({names[0]} first): {rows[-1]['share']:.0%} of the weights",
            where={"module": names[0]},
            confidence=0.75,
            evidence={"layers": names[:20], "share": rows[-1]["share"]},
        )


def sick() -> list[Chart]:
    """A trunk that was frozen before its weights were loaded."""
    new = answer("frozen", 40, frozen=2, new=["fc1", "fc2"], share=0.9)
    return [training(step={"loss": lambda t: 2.3 * 0.98**t}, sick=(new,))]


def healthy() -> list[Chart]:
    """Frozen and trained before; one small layer of many."""
    return [training(sick=(answer("frozen", 40, frozen=2, new=[], share=0.0),)),
            training(sick=(answer("frozen", 40, frozen=1, new=["a"], share=0.01),))]  # fmt: skip


CHECKS = {FrozenLayer.id: FrozenLayer()}
