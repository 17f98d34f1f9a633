"""A network that gives the same output for every input has stopped looking at it."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import place

SAMPLINGS = 3


class OutputConstant(Check):
    """The same output for all samples of a batch (a symptom: the root is elsewhere)."""

    id = "output-constant"
    signal = "spread of the last layer's output over the samples of a batch"
    threshold = f"none on {SAMPLINGS} sampled steps in a row"
    source = "TheDeepChecker (data dependence)"
    why = "only the last bias is left to learn: the most frequent class, or the mean"
    do = "look for its root: dead or equal units, a constant input, a saturated output"
    bad = "nn.init.zeros_(net.fc.weight)"
    good = "nn.init.kaiming_normal_(net.fc.weight)"

    def look(self, chart: Chart) -> Finding | None:
        """The last layer of the forward pass; a zero head wakes at the first step."""
        if not chart.layers or (chart.facts.get("batch_size") or 2) < 2:
            return None
        last = list(chart.layers.values())[-1]
        rows = [row for row in last.rows if row["step"] >= 2 and row.get("constant") is not None]
        if len(rows) < SAMPLINGS or not all(row["constant"] for row in rows[-SAMPLINGS:]):
            return None
        varied = [row["step"] for row in rows if not row["constant"]]
        return self.finding(
            f"{last.name} gives one and the same output for every sample of a batch, on the last"
            f" {len(rows) - len(varied) if not varied else SAMPLINGS} samplings",
            where=place(last),
            since=max(varied, default=0),
            confidence=0.85,
        )


def sick() -> list[Chart]:
    """Constant from step 6 on."""
    return [training(layers={"head": {"constant": lambda t: t > 6}}, step={"loss": 2.303})]


def healthy() -> list[Chart]:
    """A zero head before its first step."""
    return [training(layers={"head": {"constant": lambda t: t < 1, "std": lambda t: 0.1 * t}})]


CHECKS = {OutputConstant.id: OutputConstant()}
