"""The training is over at the first NaN; what matters is where the first one arose."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import seen, training
from ._readings import finite

FROM_THE_START = (
    "no step was taken yet, so the learning rate is not the cause: look for log(0), 0/0 or an"
    " overflowing exp in the network and the loss, and at the inputs"
)
UNNAMED = (
    "go back to the step before, lower the learning rate, and look for log, division, root or exp"
    " in the loss, of the targets too"
)


class NanLoss(Check):
    """A loss, activation, gradient or weight that is no longer a number."""

    id = "numerics-nan-loss"
    level = "error"
    signal = "the first tensor that is not finite: loss, activation, gradient or weight"
    threshold = 1
    source = "notes 003, sanity checks; AUTOTRAINER, DeepLocalize"
    why = "NaN spreads to every weight with the next step; nothing after it is worth computing"
    do = "go back to the step before, lower the learning rate, and look at the layer named here"
    bad = "loss = -torch.log(probability).mean()"
    good = "loss = F.cross_entropy(logits, y)  # log-sum-exp never takes log(0)"

    def look(self, chart: Chart) -> Finding | None:
        """The first event; gradients alone that a scaler skipped are healthy mixed precision."""
        if not chart.nonfinite or _was_skipped(chart):
            return None
        first = chart.nonfinite[0]
        before = finite(chart.column("loss"))
        last = f"; the last finite loss was {before[-1]:.3g}" if before else ""
        where = {k: first[k] for k in ("module", "parameter", "operation") if first.get(k)}
        unlearned = first["step"] == 0 and not before
        return self.finding(
            f"the {_name(first)} became NaN or Inf at step {first['step']}{last}",
            do=FROM_THE_START if unlearned else self.do if where else UNNAMED,
            where=where,
            since=first["step"],
            confidence=0.9,
            evidence={"what": first.get("what"), "last_finite_losses": before[-5:]},
        )


def _was_skipped(chart: Chart) -> bool:
    if any(row.get("what") != "gradient" for row in chart.nonfinite):
        return False
    since = chart.nonfinite[-1]["step"]
    later = [row["loss"] for row in chart.steps if row["step"] > since and "loss" in row]
    return len(later) >= 3 and len(finite(later)) == len(later)


def _name(row: dict[str, Any]) -> str:
    what = row.get("what") or "loss"
    place = row.get("parameter") or row.get("module")
    return f"{what} of {place}" if place and what != "loss" else what


def sick() -> list[Chart]:
    """A loss that overflows at step 9."""
    loss = {"loss": lambda t: 2.3 * 3**t if t < 9 else float("nan")}
    return [training(10, step=loss, sick=(seen("nonfinite", 9, what="loss", module="head"),))]


def healthy() -> list[Chart]:
    """Mixed precision: the scaler finds Inf in the first gradients and skips those steps."""
    return [training(sick=(seen("nonfinite", 1, what="gradient", module="fc1"),))]


CHECKS = {NanLoss.id: NanLoss()}
