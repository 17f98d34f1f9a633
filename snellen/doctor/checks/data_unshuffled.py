"""Batches sorted by class teach one class after the other, and forget the one before."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num, num_classes, num_optimizers

BATCHES, SHARE, ROWS = 5, 0.8, 8
RUNS = 0.1  # of the runs that labels in random order have


class Unshuffled(Check):
    """Training batches that hold one class each."""

    id = "data-unshuffled"
    signal = "smallest and largest label of each training batch"
    threshold = f"equal in {SHARE:.0%} of {BATCHES} batches or more"
    source = "notes 003, stochastic gradient descent draws at random"
    why = "each batch pulls the weights to its own class; batch statistics are those of one class"
    do = "DataLoader(..., shuffle=True)"
    bad = "DataLoader(train, batch_size=64)"
    good = "DataLoader(train, batch_size=64, shuffle=True)"
    explains = ("gen-overfit", "gen-underfit", "output-constant", "lr-too-high", "bn-stale-stats")

    def look(self, chart: Chart) -> Finding | None:
        """By chance a batch of 8 in two classes is pure once in 128 times."""
        if sorted_order := self._in_order(chart.exams.get("order") or {}):
            return sorted_order
        if chart.facts.get("targets") != "class" or num_classes(chart) < 2:
            return None
        dealt = [r for r in chart.batches.get("train", ()) if r.get("target_min") is not None]
        rows = [r for r in dealt or _heard(chart) if _one_label(r) and r["target_shape"][0] >= ROWS]
        pure = [r for r in rows if r["target_min"] == r.get("target_max")]
        labels = {r["target_min"] for r in pure}
        if len(rows) < BATCHES or len(pure) < SHARE * len(rows) or len(labels) < 2:
            return None
        return self.finding(
            f"{len(pure)} of {len(rows)} training batches hold one class each"
            f" ({len(labels)} classes seen)",
            settings={"shuffle": True},
            since=pure[0]["step"],
            confidence=0.95,
            evidence={"pure": len(pure), "batches": len(rows)},
        )

    def _in_order(self, exam: dict) -> Finding | None:
        """Before a training: the labels in the order that the loader keeps."""
        runs, expected, count = (num(exam, key) for key in ("runs", "expected", "samples"))
        if exam.get("shuffled") is not False or not runs or not expected or not count:
            return None
        if count < ROWS * BATCHES or expected < 2 * BATCHES or runs > RUNS * expected:
            return None
        return self.finding(
            f"the loader keeps the order of the data set, and its {int(count)} labels come in"
            f" {int(runs)} runs of one class each; drawn at random there would be {int(expected)}",
            settings={"shuffle": True},
            confidence=0.93,
            evidence={"runs": int(runs), "expected": round(expected)},
        )


def _heard(chart: Chart) -> list[dict]:
    """Without a loader: what the loss was given, where one loss a step has one thing to teach.

    A critic is given all real samples, then all made ones.
    """
    rows = [r for r in chart.loss_calls if r.get("target_min") is not None]
    alone = len({r.get("step") for r in rows}) == len(rows) == len(chart.loss_calls)
    return rows if alone and num_optimizers(chart) == 1 else []


def _one_label(row: dict) -> bool:
    """One label a sample; pictures of labels may well hold one class."""
    return "int" in str(row.get("target_dtype")) and len(row.get("target_shape") or ()) == 1


HEARD = {"target_min": lambda t: t // 8, "target_max": lambda t: t // 8,
         "target_dtype": "int64", "target_shape": [64]}  # fmt: skip


def sick() -> list[Chart]:
    """A folder of classes read in order; seen before the training; batches cut by hand."""
    order = examined("order", shuffled=False, runs=10, expected=900.0, samples=1000)
    return [
        training(sick=(order,)),
        training(batch={"target_min": lambda t: t // 8, "target_max": lambda t: t // 8}),
        training(batch={"target_min": None}, loss_call=HEARD),
    ]


def healthy() -> list[Chart]:
    """Drawn at random, two classes; a few pure batches; a critic's turns."""
    mixed = examined("order", shuffled=False, runs=870, expected=900.0, samples=1000)
    two = {"target_min": 0, "target_max": lambda t: int(t % 9 > 0)}
    return [training(batch=two, facts={"classes": 2}, loss_call={"classes": 2, "value": 0.69},
                     step={"loss": 0.69}), training(sick=(mixed,)),
            training(batch={"target_min": None}, loss_call=HEARD,
                     facts={"num_optimizers": 2})]  # fmt: skip


CHECKS = {Unshuffled.id: Unshuffled()}
