"""A fused step on the processor pairs weights, gradients and moments by their places in memory."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed


class StateLayout(Check):
    """Moments or gradients in memory in another order than the weights that they are of."""

    id = "optim-state-layout"
    level = "error"
    signal = "strides of the weights, and of the gradients and moments of a fused step"
    threshold = 1
    source = "PyTorch 2.13 on a processor: fused SGD, Adam, AdamW and Adagrad walk all as one line"
    why = "each weight is moved by the numbers of another one, and PyTorch says nothing"
    do = (
        "put the network into its memory format before the optimiser takes its first step and"
        " before its state is saved; for a state that is old already: fused=False"
    )
    bad = "net.to(memory_format=torch.channels_last)  # after some steps of Adam(..., fused=True)"
    good = "net.to(memory_format=torch.channels_last); optimizer = Adam(net.parameters(), ...)"
    explains = ("lr-too-high", "grad-exploding", "gen-underfit", "lr-too-low")

    def look(self, chart: Chart) -> Finding | None:
        """Any step that did so: what it did to the weights stays."""
        rows = [row for row in probed(chart, "orders") if row.get("apart")]
        if not rows:
            return None
        first = rows[0]
        name, what = first["apart"][0], first["what"]
        asked = {"do": "let each gradient lie as its weight does: torch.empty_like(weight).copy_(g)"
                 "; or build the optimiser with fused=False"}  # fmt: skip
        return self.finding(
            f"the {what} of {len(first['apart'])} of {first['of']} weights that a fused step moved,"
            f" {name} first, lay in memory in another order than the weights, and it pairs them by"
            " their places",
            where={"parameter": name, "module": name.rpartition(".")[0]},
            since=first["step"],
            confidence=0.97,
            evidence={"weights": first["apart"][:20]},
            **(asked if what == "gradients" else {}),
        )


def sick() -> list[Chart]:
    """Moments that were turned half-way; gradients that were laid down by hand."""
    weights = {"apart": ["fc1.weight", "fc2.weight"], "of": 3}
    return [training(sick=(answer("orders", 20, **weights, what=what),))
            for what in ("moments", "gradients")]  # fmt: skip


def healthy() -> list[Chart]:
    """Nothing was told; nothing was apart."""
    return [training(), training(sick=(answer("orders", 20, apart=[], of=3, what="moments"),))]


CHECKS = {StateLayout.id: StateLayout()}
