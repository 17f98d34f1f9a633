"""backward() adds to the gradients that are there; without zero_grad() old ones stay in."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, short

STEPS, SHARE = 5, 0.9


class NoZeroGrad(Check):
    """Gradients of earlier steps still there when a new step begins."""

    id = "loop-no-zero-grad"
    level = "error"
    signal = "gradients that are not zero at the first backward after an optimiser step"
    threshold = f"{SHARE:.0%} of {STEPS} steps or more"
    source = "TrainCheck; PyTorch, torch.optim: taking an optimization step"
    why = "each step follows the sum of all gradients so far: a momentum of 1 that never forgets"
    do = "call optimizer.zero_grad() once for each optimizer.step()"
    bad = "loss.backward(); optimizer.step()"
    good = "optimizer.zero_grad(); loss.backward(); optimizer.step()"
    explains = (
        "lr-too-high", "grad-exploding", "numerics-nan-loss", "arch-dead-relu", "arch-saturated",
        "output-constant", "gen-overfit", "params-no-grad", "weights-not-updating", "gen-underfit",
        "grad-vanishing",
    )  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Accumulation over several backwards is fine: its gradients are zeroed after a step."""
        rows = [row for row in chart.steps if row["step"] > 1 and row.get("carried") is not None]
        carried = [row for row in rows if row["carried"]]
        if len(rows) < STEPS or len(carried) < SHARE * len(rows):
            return None
        norms = finite(chart.column("grad_norm"))
        grew = f"; their norm went from {short(norms[0])} to {short(norms[-1])}" if norms else ""
        return self.finding(
            f"{len(carried)} of {len(rows)} steps began with gradients of the step before{grew}",
            since=carried[0]["step"],
            confidence=0.96,
            evidence={"carried": len(carried), "steps": len(rows), "grad_norm": norms[-5:]},
        )


def sick() -> list[Chart]:
    """zero_grad() forgotten."""
    step = {"carried": lambda t: t > 0, "grad_norm": lambda t: 0.9 + 0.3 * t}
    return [training(step=step)]


def healthy() -> list[Chart]:
    """Accumulation over four backwards; one step in ten that carries (a skipped zero)."""
    return [training(step={"backwards": 4}), training(step={"carried": lambda t: t % 10 == 0})]


CHECKS = {NoZeroGrad.id: NoZeroGrad()}
