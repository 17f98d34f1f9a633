"""A penalty that outweighs the data shrinks the weights faster than they can learn."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, progress, short, surer, weights

FALL, STRONG = 0.5, 1e-2


class WeightDecayTooHigh(Check):
    """Weights that shrink by half or more while the loss stays where it is."""

    id = "reg-weight-decay-too-high"
    signal = "norm of the weights, last over first, with weight decay on and the loss flat"
    threshold = FALL
    source = "notes 004: weight decay is of the order of 1e-4"
    why = "the weights are pulled to zero before the data can say anything"
    do = "weight_decay=1e-4"
    bad = "SGD(net.parameters(), lr=0.1, weight_decay=0.5)"
    good = "SGD(net.parameters(), lr=0.1, weight_decay=1e-4)"
    explains = ("output-constant", "lr-too-low", "grad-vanishing", "init-too-small",
                "gen-underfit", "params-no-grad", "arch-dead-relu", "lr-too-high",
                "weights-not-updating")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Median over the weights."""
        decay = max((o.get("weight_decay") or 0) for o in chart.facts.get("optimizers") or [{}])
        series = [finite(trace.column("weight_norm")) for trace in weights(chart)]
        falls = [norms[-1] / norms[0] for norms in series if len(norms) >= 5 and norms[0] > 0]
        if decay < STRONG or not falls or median(falls) > FALL or progress(chart) > 0.1:
            return None
        return self.finding(
            f"with weight_decay={short(decay)} the weights shrank to {median(falls):.0%} of their"
            f" size in {chart.step} steps, and the loss did not fall",
            settings={"weight_decay": 1e-4},
            confidence=surer(median(falls), FALL, 0.75, 0.95),
            evidence={"weight_decay": decay, "norm_left": median(falls)},
        )


def sick() -> list[Chart]:
    """0.5 under SGD at 0.1: five per cent a step."""
    facts = {"optimizers": [{"name": "SGD", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.5}]}
    fading = {"*": {"weight_norm": lambda t: 4.6 * 0.95**t, "update_ratio": 0.05}}
    return [training(facts=facts, params=fading, step={"loss": 2.303})]


def healthy() -> list[Chart]:
    """Strong decay that AdamW multiplies by a small rate; shrinking while it learns."""
    facts = {"optimizers": [{"name": "AdamW", "lr": 1e-3, "weight_decay": 0.1}]}
    fading = {"*": {"weight_norm": lambda t: 4.6 * 0.95**t}}
    return [training(facts=facts), training(facts=facts, params=fading)]


CHECKS = {WeightDecayTooHigh.id: WeightDecayTooHigh()}
