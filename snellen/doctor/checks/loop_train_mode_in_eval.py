"""Validation in train mode judges a network with units dropped, and spoils its statistics."""

from itertools import pairwise
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import kind_of, num_optimizers

BATCHES = 2
MOODY = ("batchnorm", "dropout", "alphadropout")


class TrainModeInEval(Check):
    """Validation batches that pass in train mode, with layers to which that matters."""

    id = "loop-train-mode-in-eval"
    signal = "net.training in forward passes without gradients, with dropout or batch norm inside"
    threshold = f"{BATCHES} validation batches, all of them"
    source = "TheDeepChecker, TrainCheck"
    why = "scores come out too low, and batch norm learns from the validation data"
    do = "net.eval() before validating, net.train() after"
    bad = "with torch.no_grad(): score = accuracy(net, val)"
    good = "net.eval()\nwith torch.no_grad(): score = accuracy(net, val)"

    def look(self, chart: Chart) -> Finding | None:
        """One optimiser only: a GAN runs its generator without gradients by right."""
        if num_optimizers(chart) > 1:
            return None
        rows = [r for r in chart.batches.get("val", ()) if r.get("train_mode") is not None]
        moody = [t.name for t in chart.layers.values() if kind_of(t).startswith(MOODY)]
        if len(rows) < BATCHES or not all(row["train_mode"] for row in rows) or not moody:
            return None
        steps = [row["step"] for row in rows]
        if len({*steps}) == len(steps) and min(b - a for a, b in pairwise(steps)) <= 2:
            return None  # one such pass with every step: pseudo-labels, not a validation
        if len({_looks(row) for row in rows}) < len(rows):
            return None  # one batch several times at a step: dropout is asked how sure it is
        return self.finding(
            f"all {len(rows)} validation batches that were looked at passed in train mode, through"
            f" {len(moody)} layers that behave differently there",
            where={"module": moody[0]},
            since=rows[0]["step"],
            confidence=0.85,
            evidence={"layers": moody[:20]},
        )


def _looks(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one batch of a step from another."""
    known = [row.get(key) for key in ("step", "mean", "std", "min", "max")]
    return tuple(known) if known[1] is not None else (id(row),)


def sick() -> list[Chart]:
    """Dropout in the validation."""
    chart = training(layers=DROPOUT)
    return [_validated(chart, train_mode=True)]


def healthy() -> list[Chart]:
    """Eval mode; train mode where it does not matter; pseudo-labels; passes over one batch."""
    return [_validated(training(layers=DROPOUT), train_mode=False),
            _validated(training(), train_mode=True),
            _validated(training(layers=DROPOUT), train_mode=True, steps=(0, 1, 2, 22)),
            _validated(training(layers=DROPOUT), train_mode=True, steps=(20, 20, 20))]  # fmt: skip


DROPOUT = {"drop": {"facts": {"kind": "Dropout"}}, "out": {"facts": {"kind": "Linear"}}}


def _validated(chart: Chart, *, train_mode: bool, steps: tuple[int, ...] = (20, 40)) -> Chart:
    for step in steps:
        values = {"absmax": 2.8, "mean": 0.01 * step, "std": 1.0, "shape": [64, 784],
                  "train_mode": train_mode}  # fmt: skip
        chart.record({"kind": "batch", "step": step, "split": "val", "values": values})
    return chart


CHECKS = {TrainModeInEval.id: TrainModeInEval()}
