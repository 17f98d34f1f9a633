"""Cross-entropy takes the softmax itself; one before it flattens what it sees."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import CROSS_ENTROPY

CALLS, SUM = 3, 1e-4
ROUNDED = {"bfloat16": 4e-3, "float16": 1e-3}  # twice what rounding each value can add up to


class DoubleSoftmax(Check):
    """Probabilities where the loss wants logits."""

    id = "loss-double-softmax"
    level = "error"
    signal = "what a cross-entropy receives: all within [0, 1], rows that sum to 1"
    threshold = SUM
    source = "NeuraLint, UMLAUT; notes 002, softmax"
    why = "of probabilities the loss can never fall below ln(e + C - 1) - 1, and gradients are tiny"
    do = "pass the logits; take the softmax only where probabilities are read"
    bad = "loss = F.cross_entropy(net(x).softmax(1), y)"
    good = "loss = F.cross_entropy(net(x), y)"
    explains = ("lr-too-low", "init-loss-unexpected", "gen-underfit", "grad-vanishing",
                "arch-saturated", "loss-output-activation")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """On every call; the probe's sums are over the class axis."""
        calls = [r for r in chart.loss_calls if r.get("function") in CROSS_ENTROPY]
        calls = [r for r in calls if r.get("row_sum_min") is not None]
        if len(calls) < CALLS or not all(_is_probability(row) for row in calls):
            return None
        low, high = calls[0]["row_sum_min"], calls[0]["row_sum_max"]
        return self.finding(
            f"the cross-entropy receives probabilities: rows sum to {low:.4f} .. {high:.4f}"
            f" in all of {len(calls)} calls",
            confidence=0.98,
            evidence={"row_sum": [low, high], "calls": len(calls)},
        )


def _is_probability(row: dict) -> bool:
    if any(row.get(key) is None for key in ("input_min", "input_max", "row_sum_max")):
        return False
    sums = abs(row["row_sum_min"] - 1), abs(row["row_sum_max"] - 1)
    most = ROUNDED.get(row.get("input_dtype", ""), SUM)
    return max(sums) < most and row["input_min"] >= 0 and row["input_max"] <= 1 + most


def sick() -> list[Chart]:
    """Softmax in the network, cross-entropy after it; the same in bf16."""
    call = {"input_min": 0.02, "input_max": 0.31, "row_sum_min": 1.0, "row_sum_max": 1.0,
            "value": lambda t: 2.3 - 0.01 * t}  # fmt: skip
    rounded = {**call, "row_sum_min": 0.9990, "row_sum_max": 1.0012, "input_dtype": "bfloat16"}
    return [training(loss_call=one, step={"loss": one["value"]}) for one in (call, rounded)]


def healthy() -> list[Chart]:
    """Logits; log-probabilities, whose softmax is the same again."""
    log = {"input_min": -6.0, "input_max": -0.1, "row_sum_min": -31.0, "row_sum_max": -24.0}
    return [training(), training(loss_call=log)]


CHECKS = {DoubleSoftmax.id: DoubleSoftmax()}
