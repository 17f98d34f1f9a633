"""A regression starts by guessing about 0: targets in the thousands give losses in millions."""

from statistics import median
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import ends, finite, losses, short, surer

LARGE, LEARNT, STEPS = 100.0, 0.8, 40
MODEST = 500.0  # a fast rate can cope with targets up to here
SQUARES = ("mse_loss",)
SIZES = ("l1_loss", "smooth_l1_loss", "huber_loss")
FAR, FALL = 300.0, 0.1  # of a loss by hand: its root over the largest output, and what it fell by


class TargetUnscaled(Check):
    """Regression targets far from unit size."""

    id = "target-unscaled"
    signal = "range and spread of the float targets, and the loss beside that of their mean"
    threshold = {"largest target": LARGE, "learnt, of the loss of the mean": LEARNT}
    source = "a proposal of the fault catalogue, calibrated on trainings of our own"
    why = "gradients grow with the targets (with a squared error, with their square): the outputs" \
          " start at 0 and need thousands of steps to get there, or blow up"  # fmt: skip
    do = "train on (y - mean) / std of the training set, and undo it after predicting"
    bad = "loss = F.mse_loss(net(x), price)          # 80 000 to 900 000"
    good = "loss = F.mse_loss(net(x), (price - mean) / std)"
    explains = (
        "lr-too-high", "lr-too-low", "grad-exploding", "numerics-nan-loss", "arch-dead-relu",
        "arch-saturated", "init-loss-unexpected", "output-constant", "loss-output-activation",
        "weights-not-updating", "params-no-grad", "grad-vanishing",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Targets that were seen; else a loss by hand that no output comes near."""
        if chart.facts.get("targets") == "class":
            return None
        rows = _targets(chart)
        if not rows:
            return self._by_hand(chart)
        largest = median(max(abs(r["target_min"]), abs(r["target_max"])) for r in rows)
        first = losses(chart)[:1]
        if largest <= LARGE or (first and first[0] < LARGE):
            return None
        return self._say(chart, rows, largest)

    def _say(self, chart: Chart, rows: list[dict[str, Any]], largest: float) -> Finding:
        low, high = (median(r[k] for r in rows) for k in ("target_min", "target_max"))
        of = {k: finite(r.get(f"target_{k}") for r in rows) for k in ("mean", "std")}
        mean, std = (median(of[k]) if of[k] else None for k in ("mean", "std"))
        spread = f" (mean {short(mean)}, std {short(std)})" if mean is not None and std else ""
        series, learnt = losses(chart), largest <= MODEST and _learnt(chart, std)
        went = ""
        if series:
            went = f"; the loss went from {short(series[0])} to {short(series[-1])}"
        do = self.do
        if mean is not None and std:
            do += f": here about (y - {short(mean)}) / {short(std)}"
        return self.finding(
            f"targets run from {short(low)} to {short(high)}{spread}, while a network starts"
            f" at about 0{went}" + (", so it learns them all the same" if learnt else ""),
            level="advice" if learnt else self.level,
            do=do,
            confidence=surer(largest, LARGE, 0.7, 0.9),
            evidence={"largest": largest, "mean": mean, "std": std, "first_loss": series[:1]},
        )

    def _by_hand(self, chart: Chart) -> Finding | None:
        """Where no target shows, a loss that is huge beside every output, and rests there."""
        series = losses(chart)
        last = list(chart.layers.values())[-1] if chart.layers else None
        outputs = finite(last.column("absmax")) if last is not None else []
        if len(series) < STEPS or not outputs or len(chart.loss_calls):
            return None
        first, late = ends(series)
        if min(first, late) <= (FAR * max(1.0, *outputs)) ** 2 or late < (1 - FALL) * first:
            return None
        return self.finding(
            f"the loss went from {short(first)} to {short(late)}, while no output is larger than"
            f" {short(max(outputs))}: the targets must be about {short(late**0.5)} in size",
            confidence=0.65,
            evidence={"loss": late, "largest_output": max(outputs)},
        )


def _targets(chart: Chart) -> list[dict[str, Any]]:
    """Rows that tell a float target: the loader's, else what the loss received."""
    dealt, called = [
        [r for r in rows if "float" in str(r.get("target_dtype"))
         and len(finite([r.get("target_min"), r.get("target_max")])) == 2]
        for rows in (chart.batches.get("train", ()),
                     [r for r in chart.loss_calls if r.get("function") in SQUARES + SIZES])
    ]  # fmt: skip
    return dealt or called


def _learnt(chart: Chart, std: float | None) -> bool:
    """Whether the loss is well below that of always answering with the mean."""
    functions = {row.get("function") for row in chart.loss_calls}
    series = losses(chart)
    if not std or len(series) < STEPS or not functions:
        return False
    late = ends(series)[1]
    if functions <= set(SQUARES):
        return late < LEARNT * std**2
    return functions <= set(SIZES) and late < LEARNT**0.5 * 0.8 * std  # a normal's mean |y|


def sick() -> list[Chart]:
    """House prices: squared; without a loader; by hand, where no target shows."""
    prices = {"target_dtype": "float32", "target_min": 8e4, "target_max": 9e5,
              "target_mean": 3e5, "target_std": 1e5}  # fmt: skip
    slow = {"loss": lambda t: 2e11 * 0.9999**t}
    alone = training(facts=REGRESSION, loss_call=MSE | prices, step=slow)
    by_hand = training(60, facts={**REGRESSION, "targets": "unknown"}, step=slow)
    by_hand.loss_calls = type(by_hand.loss_calls)()
    for chart in (alone, by_hand):
        chart.batches.clear()
    return [training(batch=prices, facts=REGRESSION, loss_call=MSE, step=slow), alone, by_hand]


def healthy() -> list[Chart]:
    """Standardised prices; counts under a likelihood; targets of 100s that are learnt; a sum."""
    unit = {"target_dtype": "float32", "target_min": -2.3, "target_max": 3.9}
    counts = {"target_dtype": "float32", "target_min": 0.0, "target_max": 400.0}
    learnt = {"target_dtype": "float32", "target_min": 25.0, "target_max": 346.0,
              "target_mean": 152.0, "target_std": 77.0}  # fmt: skip
    falls = {"loss": lambda t: 29_000 * 0.9**t}
    summed = training(60, facts={**REGRESSION, "targets": "unknown"}, step={"loss": 9e4})
    summed.batches.clear()
    return [training(batch=unit, facts=REGRESSION, loss_call=MSE),
            training(batch=counts, facts=REGRESSION, loss_call=MSE),
            training(60, batch=learnt, facts=REGRESSION, loss_call=MSE, step=falls),
            summed]  # fmt: skip


REGRESSION = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}
MSE = {"function": "mse_loss", "classes": None, "target_dtype": "float32"}
CHECKS = {TargetUnscaled.id: TargetUnscaled()}
