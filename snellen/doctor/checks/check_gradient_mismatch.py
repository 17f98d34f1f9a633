"""A backward written by hand can be wrong and still lower the loss; differences find it."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num, short

WRONG = 1e-2


class GradientMismatch(Check):
    """Gradients that are not the slopes of the loss."""

    id = "check-gradient-mismatch"
    level = "error"
    signal = (
        "autograd's gradient beside a centred difference in double precision, some numbers"
        " of every parameter; kinks and straight-through estimators are passed over"
    )
    threshold = f"relative error {WRONG:g}"
    source = "CS231n notes, neural networks 3: gradient checks"
    why = "the optimiser walks in a direction that is not downhill"
    do = "correct the backward of the operation that uses this parameter or follows it"
    bad = "def backward(ctx, grad): return grad * ctx.saved_tensors[0]        # d(x^2)/dx is 2x"
    good = "def backward(ctx, grad): return grad * 2 * ctx.saved_tensors[0]"
    explains = ("lr-too-high", "lr-too-low", "check-cannot-overfit-20", "gen-underfit")

    def look(self, chart: Chart) -> Finding | None:
        """Of several wrong ones the last is named: what follows it in the network is right."""
        exam = chart.exams.get("slopes") or {}
        wrong = [w for w in exam.get("wrong") or () if (num(w, "error") or 0) > WRONG]
        if not wrong:
            return None
        last = wrong[-1]["parameter"]
        worst = max((w for w in wrong if w["parameter"] == last), key=lambda w: w["error"])
        names = list(dict.fromkeys(w["parameter"] for w in wrong))
        return self.finding(
            f"the gradient of {last} is {short(worst['analytic'])} where the loss has slope"
            f" {short(worst['numeric'])} (relative error {short(worst['error'])});"
            f" {len(names)} parameter{'s' * (len(names) > 1)} of those tested are wrong",
            where={"parameter": last, "module": worst.get("module", "")},
            confidence=0.95,
            evidence={"parameters": names[:20], "worst": exam.get("worst"),
                      "tested": exam.get("tested")},
        )  # fmt: skip


def sick() -> list[Chart]:
    """Half the slope."""
    entry = {"parameter": "square.weight", "module": "square", "index": 3}
    return [_sloped({**entry, "analytic": 0.1, "numeric": 0.2, "error": 0.5})]


def healthy() -> list[Chart]:
    """Nothing wrong; an error of rounding."""
    tiny = {"parameter": "fc.weight", "analytic": 0.1, "numeric": 0.1001, "error": 1e-3}
    return [_sloped(), _sloped(tiny)]


def _sloped(*wrong: dict[str, Any]) -> Chart:
    return training(sick=(examined("slopes", wrong=list(wrong), tested=40, worst=0.5),))


CHECKS = {GradientMismatch.id: GradientMismatch()}
