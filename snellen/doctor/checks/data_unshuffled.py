"""Batches sorted by class teach one class after the other, and forget the one before."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num, num_classes

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
    explains = ("gen-overfit", "output-constant", "lr-too-high", "bn-stale-stats")

    def look(self, chart: Chart) -> Finding | None:
        """By chance a batch of 8 in two classes is pure once in 128 times."""
        if sorted_order := self._in_order(chart.exams.get("order") or {}):
            return sorted_order
        if chart.facts.get("targets") != "class" or num_classes(chart) < 2:
            return None
        rows = [r for r in chart.batches.get("train", ()) if (r.get("shape") or [0])[0] >= ROWS]
        rows = [r for r in rows if r.get("target_min") is not None and _one_label(r)]
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


def _one_label(row: dict) -> bool:
    """One label a sample; pictures of labels may well hold one class."""
    return "int" in str(row.get("target_dtype")) and len(row.get("target_shape") or ()) == 1


def sick() -> list[Chart]:
    """A folder of classes read in order; seen before the training."""
    order = examined("order", shuffled=False, runs=10, expected=900.0, samples=1000)
    return [
        training(sick=(order,)),
        training(batch={"target_min": lambda t: t // 8, "target_max": lambda t: t // 8}),
    ]


def healthy() -> list[Chart]:
    """Drawn at random, two classes; a few pure batches."""
    mixed = examined("order", shuffled=False, runs=870, expected=900.0, samples=1000)
    two = {"target_min": 0, "target_max": lambda t: int(t % 9 > 0)}
    return [training(batch=two, facts={"classes": 2}, loss_call={"classes": 2, "value": 0.69},
                     step={"loss": 0.69}), training(sick=(mixed,))]  # fmt: skip


CHECKS = {Unshuffled.id: Unshuffled()}
