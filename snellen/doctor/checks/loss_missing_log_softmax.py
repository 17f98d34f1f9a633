"""The negative log-likelihood wants log-probabilities; it does not take the log itself."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import short

CALLS, SLACK = 3, 1e-3
NLL = ("nll_loss", "nllloss")


class MissingLogSoftmax(Check):
    """Logits or probabilities where the loss wants log-probabilities."""

    id = "loss-missing-log-softmax"
    level = "error"
    signal = "largest value that nll_loss receives (log-probabilities are never above 0)"
    threshold = SLACK
    source = "NeuraLint; notes 002, softmax"
    why = "without the log-softmax the loss has no floor: it falls for ever and teaches nothing"
    do = "F.log_softmax before it, or F.cross_entropy on the logits"
    bad = "loss = F.nll_loss(net(x), y)"
    good = "loss = F.cross_entropy(net(x), y)"
    explains = ("init-loss-unexpected", "grad-exploding", "lr-too-high", "lr-too-low",
                "numerics-nan-loss", "loss-sign-flipped", "arch-saturated", "arch-dead-relu",
                "loss-output-activation")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """On every call."""
        calls = [r for r in chart.loss_calls if r.get("function") in NLL]
        tops = [r["input_max"] for r in calls if r.get("input_max") is not None]
        if len(tops) < CALLS or min(tops) <= SLACK:
            return None
        sums = [r.get("row_sum_min") or 0.0 for r in calls]
        what = "probabilities" if all(abs(s - 1) < SLACK for s in sums) else "logits"
        return self.finding(
            f"nll_loss receives {what}: up to {short(max(tops))}; log-probabilities end at 0",
            confidence=0.97,
            evidence={"input_max": tops[:5], "row_sum_min": sums[:5]},
        )


def sick() -> list[Chart]:
    """Raw logits; probabilities."""
    raw = {"function": "nll_loss", "value": lambda t: -0.1 * t}
    soft = {**raw, "input_min": 0.01, "input_max": 0.4, "row_sum_min": 1.0, "row_sum_max": 1.0}
    return [training(loss_call=raw, step={"loss": raw["value"]}), training(loss_call=soft)]


def healthy() -> list[Chart]:
    """Log-probabilities."""
    log = {"function": "nll_loss", "input_min": -6.0, "input_max": -1e-6, "row_sum_min": -31.0}
    return [training(loss_call=log)]


CHECKS = {MissingLogSoftmax.id: MissingLogSoftmax()}
