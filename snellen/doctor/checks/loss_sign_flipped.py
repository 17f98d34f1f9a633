"""Minimising minus the loss makes the network as wrong as it can be."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import CROSS_ENTROPY, finite, short

STEPS = 3


class SignFlipped(Check):
    """The number that is minimised is minus the cross-entropy."""

    id = "loss-sign-flipped"
    level = "error"
    signal = "the loss that backward() starts from beside the value of the cross-entropy"
    threshold = "loss = -cross-entropy, to 1 part in 1000"
    source = "notes 002, loss functions: the loss is minus the log of the right probability"
    why = "the right class's score is driven down: accuracy falls below chance"
    do = "minimise plus the cross-entropy"
    bad = "loss = -F.cross_entropy(net(x), y)"
    good = "loss = F.cross_entropy(net(x), y)"
    explains = ("lr-too-high", "grad-exploding", "numerics-nan-loss", "arch-dead-relu",
                "arch-saturated", "init-loss-unexpected")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Step by step; a likelihood of densities may be negative by right."""
        values = {r["step"]: r.get("value") for r in chart.loss_calls
                  if r.get("function") in CROSS_ENTROPY}  # fmt: skip
        pairs = [(row["loss"], values[row["step"]]) for row in chart.steps
                 if row["step"] in values and finite([row.get("loss")])
                 and finite([values[row["step"]]])]  # fmt: skip
        pairs = [(loss, value) for loss, value in pairs if abs(value) > 1e-6]
        if len(pairs) < STEPS or not all(abs(a + b) < 1e-3 * abs(b) for a, b in pairs):
            return None
        return self.finding(
            f"the loss went from {short(pairs[0][0])} to {short(pairs[-1][0])}: minus the"
            " cross-entropy",
            confidence=0.97,
            evidence={"loss": pairs[-1][0], "cross_entropy": pairs[-1][1]},
        )


def sick() -> list[Chart]:
    """Minus a cross-entropy that grows."""
    grows = {"value": lambda t: 2.3 + 0.5 * t}
    return [training(loss_call=grows, step={"loss": lambda t: -2.3 - 0.5 * t})]


def healthy() -> list[Chart]:
    """A Gaussian likelihood below zero; a cross-entropy with a penalty."""
    gauss = {"function": "gaussian_nll_loss", "classes": None, "value": lambda t: 1.4 - 0.1 * t}
    facts = {"targets": "value", "classes": None, "loss_fn": "GaussianNLLLoss"}
    return [training(loss_call=gauss, step={"loss": gauss["value"]}, facts=facts),
            training(step={"loss": lambda t: 2.6 * 0.95**t})]  # fmt: skip


CHECKS = {SignFlipped.id: SignFlipped()}
