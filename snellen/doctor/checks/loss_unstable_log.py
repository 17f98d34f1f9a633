"""log(softmax(z)) takes log(0) once a score is 104 below another; log_softmax never does."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, seen, training
from ._readings import finite, probed

NEAR = 1e-6
WORDS = ("log", "exp", "sqrt", "reciprocal", "acos", "asin")


class UnstableLog(Check):
    """A loss that is not a number though the network's output is."""

    id = "loss-unstable-log"
    level = "error"
    signal = "outputs that are finite, and a loss of them, written by hand, that is not"
    threshold = 1
    source = "notes 002, softmax: shift by the maximum before exp"
    why = "exp overflows beyond 88 and log(0) is -inf: both are reached in healthy trainings"
    do = "F.cross_entropy or log_softmax on the scores; logsumexp for a log of a sum; clamp a log"
    bad = "loss = -torch.log(z.softmax(1))[range(len(y)), y].mean()"
    good = "loss = F.cross_entropy(z, y)"
    explains = ("numerics-nan-loss", "grad-exploding", "weights-not-updating")

    def look(self, chart: Chart) -> Finding | None:
        """The operation that the search named, else the last layer at the very step."""
        first = chart.nonfinite[0] if chart.nonfinite else {}
        blamed = {row.get("cause") for row in chart.culprits}
        if first.get("what") != "loss" or blamed & {"data", "sample"}:
            return self._before(chart)
        named = next((w for row in (first, *chart.culprits) if (w := _word(row))), "")
        size = _output_size(chart, first["step"])
        if not named and (size < 0 or len(chart.loss_calls)):
            return self._before(chart)
        reach = f" of outputs up to {size:.3g}" if size >= 0 else ""
        return self.finding(
            f"the loss{reach} is not a number at step {first['step']}"
            + (f": {named} went wrong" if named else ""),
            where={"operation": named} if named else {},
            since=first["step"],
            confidence=0.9 if named else 0.75,
            evidence={"output": size},
        )

    def _before(self, chart: Chart) -> Finding | None:
        """Before it happens: the log of a softmax, whose values a larger score makes zero."""
        rows = [row for row in probed(chart, "logs") if row.get("overflows")]
        if not rows:
            return None
        worst = min(rows, key=lambda row: row.get("least", 1.0))
        soft = worst.get("source") == "softmax" or worst.get("least", 1.0) < NEAR
        return self.finding(
            f"the loss takes the log of a {worst.get('source')} (of {worst.get('least', 0):.2g} at"
            " the least): with scores forty times as large that is log(0)",
            level="warning" if soft else "advice",
            where={"operation": "log"},
            since=rows[0]["step"],
            confidence=0.75,
            evidence={"least": worst.get("least")},
        )


def _word(row: dict) -> str:
    operation = str(row.get("operation") or "").lower()
    return operation if operation.startswith(WORDS) else ""


def _output_size(chart: Chart, step: int) -> float:
    """The largest output at that step; -1 where it is unknown, not finite, or huge."""
    last = list(chart.layers.values())[-1] if chart.layers else None
    rows = [r for r in (last.rows if last else ()) if r["step"] == step and not r.get("nonfinite")]
    sizes = finite(row.get("absmax") for row in rows)
    return sizes[0] if sizes and sizes[0] < 1e4 else -1.0


def sick() -> list[Chart]:
    """log(softmax) written by hand: named by the search; seen at a sampled step."""
    nan = {"loss": lambda t: float("nan") if t > 3 else 2.0}
    first = seen("nonfinite", 4, what="loss", operation="log")
    unnamed = training(5, step=nan, sick=(seen("nonfinite", 4, what="loss"),))
    unnamed.loss_calls = type(unnamed.loss_calls)()
    early = answer("logs", 8, least=1e-5, source="softmax", overflows=True)
    return [training(5, step=nan, sick=(first,)), unnamed, training(sick=(early,))]


def healthy() -> list[Chart]:
    """A scaler's first gradients; the log of a sigmoid far from its ends (advice)."""
    mild = answer("logs", 8, least=0.1, source="sigmoid", overflows=True)
    return [
        training(sick=(mild,)),
        training(sick=(seen("nonfinite", 1, what="gradient", operation="log"),)),
    ]


CHECKS = {UnstableLog.id: UnstableLog()}
