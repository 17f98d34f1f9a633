"""Where tanh and sigmoid are flat they pass no gradient."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import activation_of, place, progress, surer

SHARE, SAMPLINGS = 0.5, 5


class Saturated(Check):
    """Most values of a hidden tanh or sigmoid at the end of its range."""

    id = "arch-saturated"
    signal = "share of a hidden tanh's values beyond 0.99, of a sigmoid's outside 0.01 to 0.99"
    threshold = SHARE
    source = "DeepDiagnosis, TheDeepChecker 0.5; healthy tanh networks measure 0.02"
    why = "a saturated unit has a slope of nearly zero: what lies before it stops learning"
    do = "normalise the inputs, start from smaller weights (Xavier), or put batch norm before it"
    bad = "nn.init.normal_(layer.weight, std=1.0)"
    good = "nn.init.xavier_normal_(layer.weight, nn.init.calculate_gain('tanh'))"
    explains = (
        "grad-vanishing", "lr-too-low", "output-constant", "weights-not-updating",
        "params-no-grad", "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """The last layer may saturate (a sure answer); so may gates in a loss that falls."""
        hidden = list(chart.layers.values())[:-1]
        bad = [(share, trace) for trace in hidden if (share := _share(trace))]
        if not bad or progress(chart) > 0.5:
            return None
        share, worst = max(bad, key=lambda pair: pair[0])
        return self.finding(
            f"{share:.0%} of the values of {worst.name} are saturated on the last {SAMPLINGS}"
            " samplings",
            where=place(worst),
            confidence=surer(share / (1.001 - share), 1.0, 0.65, 0.9),
            evidence={"layers": {trace.name: round(s, 3) for s, trace in bad[:20]}},
        )


def _share(trace: Trace) -> float:
    shares = trace.column("saturated_share")
    if activation_of(trace) not in ("tanh", "sigmoid", "softsign") or len(shares) < SAMPLINGS:
        return 0.0
    least = min(shares[-SAMPLINGS:])
    return least if least > SHARE else 0.0


def _tanh(share: object) -> dict:
    facts = {"kind": "Tanh", "activation": "tanh"}
    return {"facts": facts, "saturated_share": share}


def sick() -> list[Chart]:
    """A tanh layer that starts with weights of std 1."""
    return [training(layers={"relu1": _tanh(0.83)}, step={"loss": lambda t: 2.9 - 0.01 * t})]


def healthy() -> list[Chart]:
    """A usual tanh; a sure discriminator's sigmoid; a ReLU layer, where the word means nothing."""
    last = {"out": {"facts": {"kind": "Sigmoid", "activation": "sigmoid"}, "saturated_share": 0.9}}
    return [training(layers={"relu1": _tanh(0.02)}), training(layers=last),
            training(layers={"relu1": {"saturated_share": 0.9}})]  # fmt: skip


CHECKS = {Saturated.id: Saturated()}
