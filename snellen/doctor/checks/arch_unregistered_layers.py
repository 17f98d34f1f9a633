"""Layers that a module does not know of: no optimiser gets them, no checkpoint holds them."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed


class UnregisteredLayers(Check):
    """Weights that get gradients, in a plain list or made anew in each forward pass."""

    id = "arch-unregistered-layers"
    level = "error"
    signal = "leaves of the loss's graph that are neither in parameters() nor in an optimiser"
    threshold = 1
    source = "PyTorch, nn.ModuleList: a plain list is not registered"
    why = "they keep the numbers that were drawn, do not move with .to(), and are not saved"
    do = "nn.ModuleList([...]) or nn.ModuleDict; nn.Parameter for a tensor; no layers in forward()"
    bad = "self.layers = [nn.Linear(64, 64) for _ in range(3)]"
    good = "self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(3))"
    explains = ("weights-not-updating", "params-no-grad", "optim-missing-params", "lr-too-low",
                "gen-underfit")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Found by its attribute; or new at each look, and in one graph with the network's own."""
        rows = probed(chart, "strays")
        hidden = next((row for row in rows if row.get("hidden")), None)
        if hidden is not None:
            names = hidden["hidden"]
            return self.finding(
                f"{len(names)} tensors get gradients but are not in parameters(): {names[0]}"
                + (f" to {names[-1]}" if len(names) > 1 else ""),
                where={"module": names[0].partition("[")[0], "parameter": names[0]},
                since=hidden["step"],
                confidence=0.96,
                evidence={"tensors": names[:20]},
            )
        anew = [r for r in rows if r.get("anew") and r.get("together") and r.get("parameters")]
        if len(anew) < 2:
            return None
        return self.finding(
            f"{anew[-1]['parameters']} parameters of the loss are other ones in each step: a layer"
            " is made inside forward()",
            since=anew[0]["step"],
            confidence=0.85,
            evidence={"parameters": anew[-1]["parameters"], "values": anew[-1].get("numel")},
        )


def sick() -> list[Chart]:
    """A list of layers; a layer made in forward()."""
    plain = {"hidden": ["layers[0].weight", "layers[0].bias"], "lost": 2, "parameters": 2}
    new = {"hidden": [], "lost": 2, "parameters": 2, "together": True, "anew": True}
    return [training(sick=(answer("strays", 2, **plain),)),
            training(sick=tuple(answer("strays", t, **new) for t in (5, 12)))]  # fmt: skip


def healthy() -> list[Chart]:
    """Another network in the loss; a copy for one task (meta-learning)."""
    other = {"hidden": [], "lost": 9, "parameters": 9, "together": True, "anew": False}
    copy = {"hidden": [], "lost": 9, "parameters": 9, "together": False, "anew": True}
    return [training(sick=tuple(answer("strays", t, **v) for t in (2, 5, 12)))
            for v in (other, copy)]  # fmt: skip


CHECKS = {UnregisteredLayers.id: UnregisteredLayers()}
