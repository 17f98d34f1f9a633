"""A regression starts by guessing about 0: targets in the thousands give losses in millions."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short, surer

LARGE, FIRST_LOSS = 100.0, 1e4


class TargetUnscaled(Check):
    """Regression targets far from unit size."""

    id = "target-unscaled"
    signal = "range of the float targets, and the first loss"
    threshold = {"largest target": LARGE, "first loss": FIRST_LOSS}
    source = "a proposal of the fault catalogue, calibrated on trainings of our own"
    why = "gradients grow with the square of the targets' size: rates that suit others blow up"
    do = "train on (y - mean) / std of the training set, and undo it after predicting"
    bad = "loss = F.mse_loss(net(x), price)          # 80 000 to 900 000"
    good = "loss = F.mse_loss(net(x), (price - mean) / std)"
    explains = ("lr-too-high", "lr-too-low", "grad-exploding", "numerics-nan-loss",
                "arch-dead-relu", "arch-saturated", "init-loss-unexpected", "output-constant",
                "loss-output-activation", "weights-not-updating")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """The largest target of the median batch; a large loss without it says nothing."""
        if chart.facts.get("targets") == "class":
            return None
        rows = [r for r in chart.batches.get("train", ()) if "float" in str(r.get("target_dtype"))]
        sizes = [max(abs(r["target_min"]), abs(r["target_max"])) for r in rows
                 if len(finite([r.get("target_min"), r.get("target_max")])) == 2]  # fmt: skip
        first = finite(chart.column("loss"))[:1]
        if not sizes or median(sizes) <= LARGE or (first and first[0] < LARGE):
            return None
        largest = median(sizes)
        return self.finding(
            f"targets reach {short(largest)} in size"
            + (f" and the first loss is {short(first[0])}" if first else ""),
            confidence=surer(largest, LARGE, 0.7, 0.9),
            evidence={"largest": largest, "first_loss": first},
        )


def sick() -> list[Chart]:
    """House prices."""
    prices = {"target_dtype": "float32", "target_min": 8e4, "target_max": 9e5}
    return [training(batch=prices, facts=REGRESSION, loss_call=MSE,
                     step={"loss": lambda t: 2e11 * 0.99**t})]  # fmt: skip


def healthy() -> list[Chart]:
    """Standardised prices; large targets under a relative loss."""
    unit = {"target_dtype": "float32", "target_min": -2.3, "target_max": 3.9}
    counts = {"target_dtype": "float32", "target_min": 0.0, "target_max": 400.0}
    return [training(batch=unit, facts=REGRESSION, loss_call=MSE),
            training(batch=counts, facts=REGRESSION, loss_call=MSE)]  # fmt: skip


REGRESSION = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}
MSE = {"function": "mse_loss", "classes": None, "target_dtype": "float32"}
CHECKS = {TargetUnscaled.id: TargetUnscaled()}
