"""Units that start equal get equal gradients and stay equal: the layer is one unit wide."""

from ..chart import Chart, Trace
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import parameter_place, weights

BY_STEP = 2  # zero heads and residual branches differ by then; a warm-up from lr 0 takes one more


class ZeroInit(Check):
    """A weight whose rows are equal and receive equal gradients, step after step."""

    id = "init-zero"
    level = "error"
    signal = "rows of a weight, and of its gradient, that are identical"
    threshold = f"still so after step {BY_STEP}, on 2 sampled steps"
    source = "notes 002, initialisation: all zero is a mistake"
    why = "equal units get equal gradients: they never differ, however wide the layer is"
    do = "draw the weights: He for ReLU (std = sqrt(2/fan_in)), Xavier for tanh"
    bad = "nn.init.zeros_(layer.weight)"
    good = "nn.init.kaiming_normal_(layer.weight)"
    explains = (
        "weights-not-updating", "params-no-grad", "output-constant", "lr-too-low",
        "grad-vanishing", "arch-dead-relu", "init-too-small", "data-constant-input",
        "gen-underfit",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Every weight of two rows or more, from the third step on."""
        equal = [trace for trace in weights(chart) if _stays_equal(trace)]
        if not equal:
            return None
        first = equal[0]
        rows = first.facts.get("shape", [0])[0]
        return self.finding(
            f"all {rows} units of {first.name} are equal, and still are at step"
            f" {_late(first)[-1]['step']}"
            + (f"; so are those of {len(equal) - 1} more weights" if len(equal) > 1 else ""),
            where=parameter_place(first),
            confidence=0.97,
            evidence={"weights": [trace.name for trace in equal][:20]},
        )


def _late(trace: Trace) -> list[dict]:
    return [row for row in trace.rows if row["step"] > BY_STEP and "rows_identical" in row]


def _stays_equal(trace: Trace) -> bool:
    late = _late(trace)
    shape = trace.facts.get("shape") or []
    if len(late) < 2 or len(shape) < 2 or shape[0] < 2:
        return False
    return all(row["rows_identical"] and row.get("grad_rows_identical", True) for row in late)


def sick() -> list[Chart]:
    """All zero: no gradient at all; all 0.01: the same gradient for every hidden unit."""
    same = {"rows_identical": True, "grad_rows_identical": True}
    zero = {**same, "weight_norm": 0.0, "grad_norm": 0.0, "update_ratio": 0.0, "changed": False}
    flat = {"loss": 2.303}
    return [
        training(params={"*": zero}, step=flat),
        training(params={"fc1.weight": same, "fc2.weight": same}),
    ]


def healthy() -> list[Chart]:
    """A zero head, which the first step mends; one also behind a warm-up from zero."""
    head = {"rows_identical": lambda t: t < 1, "weight_norm": lambda t: 0.2 * t}
    late = {**head, "rows_identical": lambda t: t < 2}
    frozen = {"facts": {"requires_grad": False}, "rows_identical": True}
    return [
        training(params={"head.weight": head}),
        training(params={"head.weight": late}),
        training(params={"fc1.weight": frozen}),
    ]


CHECKS = {ZeroInit.id: ZeroInit()}
