"""Batch norm over a handful of values normalises noise."""

import math

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import kind_of, place

LEAST = 8


class SmallBatchNorm(Check):
    """A batch norm whose mean and variance are taken over fewer than eight values."""

    id = "arch-bn-small-batch"
    signal = "values that a batch norm averages for a channel: batch x positions"
    threshold = LEAST
    source = "torch-audit TA304 (batch only); notes 004, batch size"
    why = "means and variances of so few values are noise, and differ from those used in eval mode"
    do = "a larger batch, or GroupNorm, which does not look at the batch"
    bad = "DataLoader(train, batch_size=2); nn.BatchNorm1d(64)"
    good = "DataLoader(train, batch_size=2); nn.GroupNorm(8, 64)"

    def look(self, chart: Chart) -> Finding | None:
        """By the usual batch size, so that a last small batch does not count."""
        batch = chart.facts.get("batch_size")
        if not batch or not any(r.get("train_mode", True) for r in chart.steps):
            return None
        norms = [t for t in chart.layers.values() if "batchnorm" in kind_of(t)]
        small = [(n, t) for t in norms if (n := _values(t, int(batch))) < LEAST]
        if not small:
            return None
        fewest, worst = min(small, key=lambda pair: pair[0])
        return self.finding(
            f"{worst.name} takes its mean and variance over {fewest} values (batches of {batch})",
            where=place(worst),
            confidence=0.8,
            evidence={"values": fewest, "layers": [t.name for _, t in small][:20]},
        )


def _values(trace: Trace, batch: int) -> int:
    shape = list(trace.facts.get("out_shape") or ())
    return batch * math.prod(shape[2:]) if len(shape) > 1 else LEAST


def sick() -> list[Chart]:
    """Batches of two into BatchNorm1d."""
    return [training(facts={"batch_size": 2}, layers={"bn": _norm([2, 64])})]


def healthy() -> list[Chart]:
    """Two pictures of 16 x 16 are 512 values; a usual batch."""
    return [training(facts={"batch_size": 2}, layers={"bn": _norm([2, 8, 16, 16])}),
            training(layers={"bn": _norm([64, 64])})]  # fmt: skip


def _norm(shape: list[int]) -> dict:
    return {"facts": {"kind": f"BatchNorm{len(shape) // 2}d", "out_shape": shape}}


CHECKS = {SmallBatchNorm.id: SmallBatchNorm()}
