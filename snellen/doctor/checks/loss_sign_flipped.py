"""Minimising minus the loss makes the network as wrong as it can be."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import CROSS_ENTROPY, finite, losses, num_optimizers, probed, short

ERRORS = ("binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
          "smooth_l1_loss", "huber_loss", "cross_entropy")  # fmt: skip
GREW, NEAR = 1.2, 0.2  # times its first value; of the error: what else is in the loss
STEPS, AWAY, COUNTED, CHANCE = 3, 0.95, 8, 0.2  # the last: what few samples may add to chance


class SignFlipped(Check):
    """The number that is minimised is minus the cross-entropy."""

    id = "loss-sign-flipped"
    level = "error"
    signal = "the gradient at the outputs: away from the targets; the loss beside a cross-entropy"
    threshold = f"{AWAY:.0%} of the samples pushed away, and the loss below 0"
    source = "notes 002, loss functions: the loss is minus the log of the right probability"
    why = "the right class's score is driven down: accuracy falls below chance"
    do = "minimise plus the cross-entropy"
    bad = "loss = -F.cross_entropy(net(x), y)"
    good = "loss = F.cross_entropy(net(x), y)"
    explains = (
        "lr-too-high", "grad-exploding", "numerics-nan-loss", "arch-dead-relu", "arch-saturated",
        "init-loss-unexpected", "output-constant", "gen-underfit", "weights-not-updating",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Step by step; a likelihood of densities may be negative by right."""
        values = {r["step"]: r.get("value") for r in chart.loss_calls
                  if r.get("function") in CROSS_ENTROPY}  # fmt: skip
        pairs = [(row["loss"], values[row["step"]]) for row in chart.steps
                 if row["step"] in values and finite([row.get("loss")])
                 and finite([values[row["step"]]])]  # fmt: skip
        pairs = [(loss, value) for loss, value in pairs if abs(value) > 1e-6]
        if len(pairs) < STEPS or not all(abs(a + b) < 1e-3 * abs(b) for a, b in pairs):
            return self._by_growth(chart) or self._by_sign(chart)
        return self.finding(
            f"the loss went from {short(pairs[0][0])} to {short(pairs[-1][0])}: minus the"
            " cross-entropy",
            confidence=0.97,
            evidence={"loss": pairs[-1][0], "cross_entropy": pairs[-1][1]},
        )

    def _by_growth(self, chart: Chart) -> Finding | None:
        """Minus an error, among other terms: it grows while what is minimised goes below zero."""
        errors = {r["step"]: r["value"] for r in chart.loss_calls
                  if r.get("function") in ERRORS and finite([r.get("value")])}  # fmt: skip
        rows = [(row["loss"], errors[row["step"]]) for row in chart.steps
                if row["step"] in errors and finite([row.get("loss")])]  # fmt: skip
        if num_optimizers(chart) > 1 or len(rows) < STEPS or max(loss for loss, _ in rows) >= 0:
            return None
        (first_loss, first), (loss, error) = rows[0], rows[-1]
        if error < GREW * first or abs(loss + error) > NEAR * error or loss > first_loss:
            return None
        return self.finding(
            f"the loss went from {short(first_loss)} to {short(loss)} while the error in it grew"
            f" from {short(first)} to {short(error)}: it enters with a minus",
            do="add the error instead of subtracting it",
            confidence=0.9,
            evidence={"loss": loss, "error": error},
        )

    def _by_sign(self, chart: Chart) -> Finding | None:
        """A loss written by hand: below zero, every sample pushed away from its target."""
        series = losses(chart)
        rows = [r for r in probed(chart, "direction") if r.get("counted", 0) >= COUNTED]
        if num_optimizers(chart) > 1 or len(rows) < STEPS or len(series) < STEPS:
            return None
        away = [row.get("away", 0) for row in rows]
        right = max(rows[-1].get("right", 0) - CHANCE, 0)
        if min(away) < AWAY or max(series[-3:]) >= 0 or series[-1] > series[0]:
            return None
        if rows[-1].get("is_class") and right > rows[-1].get("chance", 0):
            return None
        return self.finding(
            f"minimising this loss ({short(series[0])} to {short(series[-1])}) pushes"
            f" {min(away):.0%} of the outputs away from their targets",
            confidence=0.9,
            evidence={"away": min(away), "right": rows[-1].get("right"), "loss": series[-1]},
        )


def sick() -> list[Chart]:
    """Minus a cross-entropy that grows; minus a reconstruction's error beside a small penalty."""
    grows = {"value": lambda t: 2.3 + 0.5 * t}
    falls = {"loss": lambda t: -2.3 - 0.5 * t}
    away = [answer("direction", t, away=1.0, counted=32, right=0.0, chance=0.1, is_class=True)
            for t in (2, 8, 16)]  # fmt: skip
    own = training(step=falls, sick=tuple(away))
    own.loss_calls = type(own.loss_calls)()
    error = {"function": "binary_cross_entropy", "classes": None, "value": lambda t: 0.7 + 0.3 * t}
    minus = {"loss": lambda t: -0.68 - 0.3 * t}
    return [training(loss_call=grows, step=falls), own, training(loss_call=error, step=minus)]


def healthy() -> list[Chart]:
    """A Gaussian likelihood below zero; a cross-entropy with a penalty."""
    gauss = {"function": "gaussian_nll_loss", "classes": None, "value": lambda t: 1.4 - 0.1 * t}
    facts = {"targets": "value", "classes": None, "loss_fn": "GaussianNLLLoss"}
    return [training(loss_call=gauss, step={"loss": gauss["value"]}, facts=facts),
            training(step={"loss": lambda t: 2.6 * 0.95**t})]  # fmt: skip


CHECKS = {SignFlipped.id: SignFlipped()}
