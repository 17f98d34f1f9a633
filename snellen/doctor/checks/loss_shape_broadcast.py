"""(N, 1) minus (N,) is an (N, N) table: every prediction against every target."""

import math

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import probed

ELEMENTWISE = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "gaussian_nll_loss", "poisson_nll_loss",
)  # fmt: skip


class ShapeBroadcast(Check):
    """Predictions and targets whose shapes blow each other up."""

    id = "loss-shape-broadcast"
    level = "error"
    signal = "shapes that an elementwise loss receives, or subtracts in a loss of one's own"
    threshold = "the broadcast shape is larger than both, and mixes samples"
    source = "PyTorch only warns: Using a target size that is different to the input size"
    why = "each output is pulled to the mean of all targets: the network learns that mean"
    do = "give both one shape: target.unsqueeze(1), or prediction.squeeze(1)"
    bad = "loss = F.mse_loss(net(x), y)          # (64, 1) and (64,)"
    good = "loss = F.mse_loss(net(x).squeeze(1), y)"
    explains = ("output-constant", "lr-too-low", "lr-too-high", "gen-underfit")

    def look(self, chart: Chart) -> Finding | None:
        """Spread over the predictions is legal: a scalar, a row; so are pairs within a sample."""
        for row in chart.loss_calls:
            given, wanted = list(row.get("input_shape") or ()), list(row.get("target_shape") or ())
            if row.get("function") not in ELEMENTWISE or given == wanted:
                continue
            both = _broadcast(given, wanted)
            if len(given) == len(wanted) and given[:1] == wanted[:1]:
                continue  # quantiles against quantiles: each sample keeps to itself
            if both and math.prod(both) > max(math.prod(given), math.prod(wanted)):
                return self.finding(
                    f"{row['function']} compares {tuple(given)} with {tuple(wanted)}: a table of"
                    f" {tuple(both)}",
                    where={"operation": row["function"]},
                    since=row["step"],
                    confidence=0.97,
                    evidence={"input": given, "target": wanted},
                )
        return self._by_hand(chart)

    def _by_hand(self, chart: Chart) -> Finding | None:
        """A difference or a product of the user's own, as the graph of the loss shows it."""
        rows = probed(chart, "table")
        if not rows:
            return None
        row = rows[0]
        given, wanted = tuple(row["input"]), tuple(row["target"])
        size = max(given)
        return self.finding(
            f"the loss computes {given} {row['operation']} {wanted}: a table of {(size, size)}",
            where={"operation": row["operation"]},
            since=row["step"],
            confidence=0.95 if row.get("known") else 0.88,
            evidence={"input": [*given], "target": [*wanted]},
        )


def _broadcast(a: list[int], b: list[int]) -> list[int]:
    """The common shape; empty where there is none."""
    width = max(len(a), len(b))
    a, b = [1] * (width - len(a)) + a, [1] * (width - len(b)) + b
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return []
    return [max(m, n) for m, n in zip(a, b, strict=True)]


def sick() -> list[Chart]:
    """A regression with one output; the same the other way round; a row against a column."""
    faulty = ([64, 1], [64]), ([64], [64, 1]), ([64, 1], [1, 64])
    own = answer("table", 1, operation="-", input=[64, 1], target=[64], known=True)
    calls = [training(loss_call=_call(*shapes), facts=REGRESSION) for shapes in faulty]
    return [training(sick=(own,), facts=REGRESSION), *calls]


def healthy() -> list[Chart]:
    """Equal shapes; one target for all; quantiles against samples of the target."""
    legal = ([64, 1], [64, 1]), ([64, 1], [1]), ([64, 11, 1], [64, 1, 11])
    return [training(loss_call=_call(*shapes), facts=REGRESSION) for shapes in legal]


REGRESSION = {"targets": "value", "classes": None, "loss_fn": "MSELoss"}


def _call(given: list[int], wanted: list[int]) -> dict:
    return {"function": "mse_loss", "classes": None, "input_shape": given, "target_shape": wanted}


CHECKS = {ShapeBroadcast.id: ShapeBroadcast()}
