"""Dropout that hides nearly everything leaves nothing to learn from."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, kind_of, place, progress

ADVICE, WARNING = 0.5, 0.8
EXTREME = 0.9


class DropoutTooHigh(Check):
    """A drop probability above one half."""

    id = "reg-dropout-too-high"
    level = "advice"
    signal = "the drop probability p (PyTorch's; the notes' p is the share that is kept)"
    threshold = {"advice": ADVICE, "warning, where the loss does not fall": WARNING}
    source = "UMLAUT 0.5; notes 004, dropout"
    why = "the signal drowns in the noise of what is dropped"
    do = "p of 0.2 to 0.5; none right before a batch norm"
    bad = "nn.Dropout(0.95)  # meant: keep 95 %"
    good = "nn.Dropout(0.05)"
    explains = ("gen-underfit", "grad-exploding")

    def look(self, chart: Chart) -> Finding | None:
        """The highest p of all dropout layers."""
        found = [(p[0], trace) for trace in chart.layers.values()
                 if "dropout" in kind_of(trace)
                 and (p := finite([trace.facts.get("p")]))]  # fmt: skip
        if not found:
            return None
        highest, worst = max(found, key=lambda pair: pair[0])
        if highest <= ADVICE:
            return None
        needed = 0.8 if highest > EXTREME else 0.5  # noise makes a regression's first loss large
        hurts = highest > WARNING and progress(chart) < needed
        return self.finding(
            f"{worst.name} drops {highest:.0%} of its values; the loss fell by"
            f" {max(0.0, progress(chart)):.0%}",
            level="warning" if hurts else "advice",
            where=place(worst),
            settings={"dropout": 0.5},
            confidence=0.85 if hurts else 0.6,
            evidence={"p": highest},
        )


def sick() -> list[Chart]:
    """p = 0.95 and a loss that hardly falls."""
    return [training(layers=_dropout(0.95), step={"loss": lambda t: 2.31 - 1e-3 * t})]


def healthy() -> list[Chart]:
    """AlexNet's half; a strong one in a training that goes well (advice at most)."""
    return [training(layers=_dropout(0.5)), training(layers=_dropout(0.85))]


def _dropout(p: float) -> dict[str, dict]:
    return {"drop": {"facts": {"kind": "Dropout", "p": p}}}


CHECKS = {DropoutTooHigh.id: DropoutTooHigh()}
