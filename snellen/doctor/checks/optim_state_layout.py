"""A fused step on the processor pairs weights and moments by their places in memory alone."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import parameter_place, weights


class StateLayout(Check):
    """Moments that lie in memory in another order than the weight that they are of."""

    id = "optim-state-layout"
    level = "error"
    signal = "strides of a weight and of what a fused optimiser keeps of it"
    threshold = 1
    source = "PyTorch 2.13 on a processor: fused SGD, Adam, AdamW and Adagrad walk both as one line"
    why = "each value is moved by the moment of another one, and PyTorch says nothing"
    do = (
        "put the network into its memory format before the optimiser is built and before its state"
        " is saved; for a state that is old already: fused=False"
    )
    bad = "net.to(memory_format=torch.channels_last)  # after some steps of Adam(..., fused=True)"
    good = "net.to(memory_format=torch.channels_last); optimizer = Adam(net.parameters(), ...)"
    explains = ("lr-too-high", "grad-exploding", "gen-underfit", "lr-too-low")

    def look(self, chart: Chart) -> Finding | None:
        """As it stands at the end: an optimiser built anew has its moments in the right order."""
        every = weights(chart)
        turned = [t for t in every if t.column("moments_apart")[-1:] == [True]]
        if not turned:
            return None
        first = turned[0]
        rows = [row for row in first.rows if row.get("moments_apart")]
        return self.finding(
            f"the moments of {len(turned)} of {len(every)} weights, {first.name} first, lie in"
            " memory in another order than the weights, and a fused step pairs them by their"
            " places",
            where=parameter_place(first),
            since=rows[0]["step"],
            confidence=0.99,
            evidence={"weights": [trace.name for trace in turned][:20]},
        )


def sick() -> list[Chart]:
    """Turned half-way; from the start, by a state that was loaded."""
    later = {"moments_apart": lambda t: t > 20}
    return [training(params={"fc1.weight": later}), training(params={"*": {"moments_apart": True}})]


def healthy() -> list[Chart]:
    """In one order all the time; the optimiser was built anew."""
    mended = {"moments_apart": lambda t: t < 20}
    return [training(params={"*": {"moments_apart": False}}), training(params={"*": mended})]


CHECKS = {StateLayout.id: StateLayout()}
