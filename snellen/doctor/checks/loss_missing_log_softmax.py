"""The negative log-likelihood wants log-probabilities, as kl_div does; neither takes the log."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import short

CALLS, SLACK = 3, 1e-3
NLL, DIVERGENCE = ("nll_loss", "nllloss"), ("kl_div", "kldivloss")


class MissingLogSoftmax(Check):
    """Logits or probabilities where the loss wants log-probabilities."""

    id = "loss-missing-log-softmax"
    level = "error"
    signal = (
        "largest value that nll_loss receives (log-probabilities are never above 0); of kl_div"
        " rows between 0 and 1 that sum to 1"
    )
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
        calls = [r for r in chart.loss_calls if r.get("function") in NLL or _is_divergence(r)]
        tops = [r["input_max"] for r in calls if r.get("input_max") is not None]
        if len(tops) < CALLS or min(tops) <= SLACK:
            return None
        sums = [r.get("row_sum_min") or 0.0 for r in calls]
        what = "probabilities" if all(abs(s - 1) < SLACK for s in sums) else "logits"
        return self.finding(
            f"{calls[0]['function']} receives {what}: up to {short(max(tops))};"
            " log-probabilities end at 0",
            confidence=0.97,
            evidence={"input_max": tops[:5], "row_sum_min": sums[:5]},
        )


def _is_divergence(row: dict[str, Any]) -> bool:
    """Whether a kl_div was given probabilities: other positive numbers may be meant."""
    sums = [row.get(f"row_sum_{end}") for end in ("min", "max")]
    return row.get("function") in DIVERGENCE and (row.get("input_min") or 0.0) >= 0 and all(
        s is not None and abs(s - 1) < SLACK for s in sums)  # fmt: skip


def sick() -> list[Chart]:
    """Raw logits; probabilities; probabilities in a distillation."""
    raw = {"function": "nll_loss", "value": lambda t: -0.1 * t}
    soft = {**raw, "input_min": 0.01, "input_max": 0.4, "row_sum_min": 1.0, "row_sum_max": 1.0}
    return [training(loss_call=raw, step={"loss": raw["value"]}), training(loss_call=soft),
            training(loss_call={**soft, "function": "kl_div"})]  # fmt: skip


def healthy() -> list[Chart]:
    """Log-probabilities, of a kl_div too."""
    log = {"function": "nll_loss", "input_min": -6.0, "input_max": -1e-6, "row_sum_min": -31.0}
    return [training(loss_call=log), training(loss_call={**log, "function": "kl_div"})]


CHECKS = {MissingLogSoftmax.id: MissingLogSoftmax()}
