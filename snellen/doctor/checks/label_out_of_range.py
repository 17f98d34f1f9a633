"""C outputs answer for the labels 0..C-1; a label outside either crashes or trains nonsense."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, num_classes

IGNORED = -100  # PyTorch's ignore_index


class LabelOutOfRange(Check):
    """Class labels below 0 or not below the number of outputs."""

    id = "label-out-of-range"
    level = "error"
    signal = "smallest and largest class label beside the width of the output"
    threshold = "0 <= label < outputs"
    source = "notes 002, loss functions: labels index the scores"
    why = "on the CPU the loss raises; on a GPU it asserts; a hand-written loss indexes wrongly"
    do = "labels that start at 1: subtract 1; else give the last layer one output for each class"
    bad = "loss = F.cross_entropy(net(x), y)      # y in 1..10, ten outputs"
    good = "loss = F.cross_entropy(net(x), y - 1)  # y in 0..9"
    explains = ("numerics-nan-loss", "init-loss-unexpected", "loop-no-step")

    def look(self, chart: Chart) -> Finding | None:
        """What a loss refused; else the batches, where no library loss accepted the labels."""
        for row in chart.loss_calls:
            if "out of bounds" in str(row.get("error")) and row.get("target_max") is not None:
                return self._say(row, int(row.get("classes") or num_classes(chart)))
        if any(row.get("value") is not None for row in chart.loss_calls):
            return None
        width = num_classes(chart) if chart.facts.get("targets") == "class" else 0
        if not width:
            return self._one_based(chart)
        for row in chart.batches.get("train", ()):
            low, high = row.get("target_min"), row.get("target_max")
            if low is None or high is None:
                continue
            if high >= width or (low < 0 and low != IGNORED):
                return self._say(row, width)
        return None

    def _one_based(self, chart: Chart) -> Finding | None:
        """A loss written by hand: labels 1..C beside C outputs can hardly be chance."""
        last = list(chart.layers.values())[-1] if chart.layers else None
        shape = list(last.facts.get("out_shape") or ()) if last else []
        rows = [r for r in chart.batches.get("train", ()) if "int" in str(r.get("target_dtype"))]
        low = finite(r.get("target_min") for r in rows)
        high = finite(r.get("target_max") for r in rows)
        if len(shape) != 2 or shape[1] < 2 or not low or not high or len(chart.loss_calls):
            return None
        if min(low) != 1 or max(high) != shape[1]:
            return None
        return self._say({**rows[0], "target_min": 1, "target_max": int(max(high))}, shape[1])

    def _say(self, row: dict, width: int) -> Finding:
        low, high = row.get("target_min"), row["target_max"]
        shift = {"y": "y - 1"} if low and low >= 1 and high == width else {}
        return self.finding(
            f"labels run from {low} to {high}, but {width} outputs answer for 0 to {width - 1}",
            settings={} if shift or high < width else {"classes": int(high) + 1},
            do="labels start at 1: subtract 1 from them" if shift else self.do,
            since=row["step"],
            confidence=0.98,
            evidence={"target_min": low, "target_max": high, "outputs": width},
        )


def sick() -> list[Chart]:
    """One-based labels: refused by the loss, and swallowed by a loss written by hand."""
    refused = {"target_max": 10, "target_min": 1, "value": None,
               "error": "Target 10 is out of bounds."}  # fmt: skip
    by_hand = training(batch={"target_min": -1, "target_max": 8})
    by_hand.loss_calls = type(by_hand.loss_calls)()
    return [training(1, loss_call=refused, batch={"target_min": 1, "target_max": 10}), by_hand]


def healthy() -> list[Chart]:
    """Padding that the loss ignores; values, not classes; a loss that took every label."""
    padded = {"target_min": IGNORED}
    values = {"target_min": -3.0, "target_max": 40.0, "target_dtype": "float32"}
    return [
        training(batch=padded, loss_call=padded),
        training(facts={"targets": "value", "classes": None, "loss_fn": "HuberLoss"},
                 batch=values, loss_call={"function": "huber_loss", "classes": None}),
        training(batch={"target_min": -1}, loss_call={"target_min": -1}),
    ]  # fmt: skip


CHECKS = {LabelOutOfRange.id: LabelOutOfRange()}
