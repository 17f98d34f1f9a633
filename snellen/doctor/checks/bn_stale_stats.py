"""Running statistics that are not those of the data make eval mode another network."""

from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import finite, losses, num_optimizers, probed, short

GAP, RATIO, SIZE, LAG = 0.5, 1.5, 0.15, 0.05
STUCK = 1e-3
WIDE = 2.0  # of the outputs: enough by itself; at the end of healthy trainings at most 0.8


class StaleStatistics(Check):
    """The same batch, with its own statistics and with the running ones: two results."""

    id = "bn-stale-stats"
    signal = "loss and outputs of one batch in eval mode and with the batch's own statistics"
    threshold = {"outputs": GAP, "losses": RATIO, "of the first loss": SIZE}
    source = "TheDeepChecker (loss gap of 50 %); Ioffe and Szegedy 2015"
    why = "batch norm uses running means in eval mode: validation then sees another network"
    do = "momentum=0.1, and enough steps: the running statistics forget a tenth in each"
    bad = "nn.BatchNorm2d(64, momentum=0)"
    good = "nn.BatchNorm2d(64)"
    explains = ("gen-overfit",)

    def look(self, chart: Chart) -> Finding | None:
        """The last two times that it was asked, the end among them. Quiet where the loop computes
        the statistics anew before it validates: running ones are not what it validates with.
        """
        rows = [] if chart.facts.get("settles_norms") else probed(chart, "modes")
        if not rows or num_optimizers(chart) > 1 or not all(_is_apart(r, chart) for r in rows[-2:]):
            return None
        last = rows[-1]
        cause, do, confidence = _cause(last)
        numbers = f"outputs differ by {short(last['gap'])} of their spread"
        if "loss_eval" in last:
            numbers = f"loss {short(last['loss_train'])} becomes {short(last['loss_eval'])}"
        return self.finding(
            f"in eval mode the same batch gives another result ({numbers}): {cause}",
            do=do or self.do,
            since=rows[0]["step"],
            confidence=confidence,
            evidence={key: value for key, value in last.items() if key != "momentum"},
        )


def _is_apart(row: dict[str, Any], chart: Chart) -> bool:
    if row.get("gap", 0) < GAP:
        return False
    pair, first = finite([row.get("loss_train"), row.get("loss_eval")]), losses(chart)[:3]
    if len(pair) < 2 or not first or row["gap"] > WIDE:
        return bool(row["gap"] > (WIDE if pair else 2 * GAP))
    moving, still = pair
    # A momentum that forgets nothing is a fault by itself: less of a gap is proof enough.
    stuck = any(m is None or m < STUCK for m in row.get("momentum") or ())
    least = (SIZE / 4 if stuck else SIZE) * max(map(abs, first))
    return still > RATIO * moving and still - moving > least


def _cause(row: dict[str, Any]) -> tuple[str, str, float]:
    momenta, tracked = row.get("momentum") or [], int(row.get("tracked") or 0)
    numbers = finite(momenta)
    if momenta and not numbers:
        return "momentum=None averages all batches since the start, old weights and all", "", 0.9
    slow = min(numbers, default=0.1)
    if slow <= 0:
        return "momentum=0 leaves the running statistics as they were at the start", "", 0.95
    left = (1 - min(slow, 1.0)) ** tracked
    if left > LAG:
        more = f"train for more than {_needed(slow)} steps, or momentum={_faster(tracked)}"
        return (f"after {tracked} batches {left:.0%} of the running statistics are still those of"
                f" the start (momentum {short(slow)})"), more, 0.88  # fmt: skip
    return ("the running statistics are not those of the batches (the weights move too fast, or"
            " batches differ from each other)"), (
            "lower the learning rate at the end; shuffle; or run the training set through once"
            " more before validating (update_bn)"), 0.7  # fmt: skip


def _needed(momentum: float) -> int:
    return int(3 / momentum)


def _faster(tracked: int) -> float:
    return round(min(0.5, 4 / max(8, tracked)), 2)


def sick() -> list[Chart]:
    """No momentum; an average of all; ten steps."""
    apart = {"loss_train": 0.3, "loss_eval": 2.9, "gap": 1.4, "tracked": 40}
    return [training(sick=(answer("modes", 40, **{**apart, **more}, last=True),))
            for more in ({"momentum": [0.0]}, {"momentum": [None]},
                         {"momentum": [0.1], "tracked": 10})]  # fmt: skip


def healthy() -> list[Chart]:
    """A little apart, as always; far apart at first, and together at the end."""
    near = {"loss_train": 0.3, "loss_eval": 0.33, "gap": 0.12, "momentum": [0.1]}
    far = {"loss_train": 0.3, "loss_eval": 2.33, "gap": 1.2, "momentum": [0.1]}
    return [training(sick=(answer("modes", 40, **near),)),
            training(sick=(answer("modes", 20, **far), answer("modes", 40, **far, last=True)),
                     facts={"settles_norms": True}),
            training(sick=(answer("modes", 20, **far), answer("modes", 40, **near)))]  # fmt: skip


CHECKS = {StaleStatistics.id: StaleStatistics()}
