"""One value a hundred times the others steers the whole batch's gradient."""

from collections.abc import Iterable
from statistics import median
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import REGRESSION, finite, probed, short

TIMES, BATCHES = 20.0, 8
ITEMS = "look at these items; mend them, clip the values, or use Huber loss"
Size = tuple[float, int, int | None]  # largest value of a batch, its step, and the row that has it


class Outlier(Check):
    """A batch whose largest input or target is far beyond that of all others."""

    id = "data-outlier"
    signal = "largest input and largest target of a batch over the median of all batches"
    threshold = TIMES
    source = "notes 000, outliers"
    why = "a squared loss gives a sample a hundred times off ten thousand times the weight"
    do = "look at this batch's items; mend them, clip the values, or use Huber loss"
    bad = "loss = F.mse_loss(price, target)       # one price in cents among euros"
    good = "loss = F.huber_loss(price, target)"
    explains = (
        "grad-exploding", "lr-too-high", "numerics-nan-loss", "arch-dead-relu", "arch-saturated",
        "target-unscaled",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Inputs by their absmax; targets by the range of values, not of classes."""
        rows = [r for r in chart.batches.get("train", ()) if "float" in str(r.get("dtype"))]
        inputs = [(r["absmax"], r["step"], r.get("input_row")) for r in rows
                  if finite([r.get("absmax")])]  # fmt: skip
        return (self._judge("input", inputs) or self._judge("target", _targets(chart, rows))
                or self._received(chart))  # fmt: skip

    def _judge(self, what: str, values: list[Size]) -> Finding | None:
        usual = median([v for v, _, _ in values]) if len(values) >= BATCHES else 0.0
        if usual <= 0:
            return None
        worst, step, _ = max(values, key=lambda size: size[:2])
        far = [v for v, _, _ in values if v > TIMES * usual]
        named = {row for v, _, row in values if v > TIMES * usual and row is not None}
        if not far or len(far) > 0.2 * len(values):
            return None
        return self.finding(
            f"the largest {what} of the batch at step {step} is {short(worst)},"
            f" {short(worst / usual)} times that of a usual batch ({short(usual)})",
            do=ITEMS if named else self.do,
            samples=tuple(sorted(named)),
            samples_of="train" if named else "",
            since=step,
            confidence=0.8,
            evidence={"largest": worst, "usual": usual, "batches": len(far)},
        )

    def _received(self, chart: Chart) -> Finding | None:
        """Targets that no loader dealt: what the loss received, and what made it leap up."""
        calls, leaps = _sizes(chart.loss_calls), _sizes(probed(chart, "rises"))
        usual = median([v for v, _, _ in calls]) if len(calls) >= BATCHES else 0.0
        if usual <= 0 or sum(v > TIMES * usual for v, _, _ in calls) > 0.2 * len(calls):
            return None
        far = sorted({size for size in calls + leaps if size[0] > TIMES * usual}, key=_step)
        if not far:
            return None
        size, step, row = far[0]
        return self.finding(
            f"a target of the batch at step {step} is {short(size)} in size,"
            f" {short(size / usual)} times that of a usual batch ({short(usual)}): row {row} of"
            f" that batch",
            do=f"look at the sample in row {row} of step {step}'s batch, as your loop draws it;"
               " mend it, clip the values, or use Huber loss",
            samples=(row,) if row is not None else (),
            samples_of="batch",
            since=step,
            confidence=0.8,
            evidence={"largest": size, "usual": usual, "batches": len({*map(_step, far)})},
        )  # fmt: skip


def _step(size: Size) -> int:
    return size[1]


def _sizes(rows: Iterable[dict[str, Any]]) -> list[Size]:
    """The largest target of each batch that a loss by values received."""
    return [(r["target_size"], r["step"], r.get("target_at")) for r in rows
            if r.get("function", REGRESSION[0]) in REGRESSION
            and finite([r.get("target_size")])]  # fmt: skip


def _targets(chart: Chart, rows: list[dict]) -> list[Size]:
    if chart.facts.get("targets") == "class":
        return []
    known = [r for r in rows if "float" in str(r.get("target_dtype"))]
    known = [r for r in known if len(finite([r.get("target_min"), r.get("target_max")])) == 2]
    return [(max(abs(r["target_min"]), abs(r["target_max"])), r["step"], r.get("target_row"))
            for r in known]  # fmt: skip


def sick() -> list[Chart]:
    """A sensor that once returned 4096; a price in cents; one that a loop without loader met."""
    spike = {"absmax": lambda t: 4096.0 if t == 11 else 2.8 + 0.1 * (t % 5)}
    price = {"target_dtype": "float32", "target_min": 0.1,
             "target_max": lambda t: 250.0 if t == 3 else 2.5}  # fmt: skip
    facts = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}
    received = _mse() | {"target_size": lambda t: 2.0 + 0.1 * (t % 5), "target_at": 4}
    leap = answer("rises", 70, target_size=1e4, target_at=31)
    return [training(batch=spike), training(batch=price, facts=facts, loss_call=_mse()),
            training(sick=(leap,), facts=facts, loss_call=received)]  # fmt: skip


def healthy() -> list[Chart]:
    """Heavy tails, a few times the usual; so is the target behind a loss that leapt up."""
    tails = {"absmax": lambda t: 3.0 + (9.0 if t % 7 == 0 else 0.0)}
    leap = answer("rises", 70, target_size=9.0, target_at=31)
    return [
        training(batch=tails),
        training(sick=(leap,), loss_call=_mse() | {"target_size": 2.0, "target_at": 4}),
    ]


def _mse() -> dict:
    return {"function": "mse_loss", "classes": None, "target_dtype": "float32"}


CHECKS = {Outlier.id: Outlier()}
