"""In eval mode dropout does nothing and batch norm neither learns nor uses the batch."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import kind_of

STEPS, SHARE = 10, 0.3


class EvalModeInTraining(Check):
    """Training steps taken in eval mode, with layers to which that matters."""

    id = "loop-eval-mode-in-training"
    signal = "net.training at steps that are taken, with dropout or batch norm in the network"
    threshold = f"{STEPS} steps and {SHARE:.0%} of all"
    source = "TheDeepChecker, TrainCheck"
    why = "dropout is off and batch norm stays with old statistics: it overfits, or cannot learn"
    do = "net.train() at the start of each epoch: the validation has left it in eval mode"
    bad = "for epoch in range(9): train_one_epoch(); net.eval(); validate()"
    good = "for epoch in range(9): net.train(); train_one_epoch(); net.eval(); validate()"
    explains = ("gen-overfit", "bn-stale-stats", "grad-exploding", "lr-too-high")

    def look(self, chart: Chart) -> Finding | None:
        """Quiet in fine-tuning, where frozen statistics are a choice."""
        rows = [row for row in chart.steps if row.get("train_mode") is not None]
        off = [row for row in rows if not row["train_mode"]]
        if len(off) < STEPS or len(off) < SHARE * len(rows) or _by_choice(chart):
            return None
        moody = [t.name for t in chart.layers.values() if kind_of(t).startswith(MOODY)]
        if not moody and not chart.facts.get("has_norm"):
            return None
        return self.finding(
            f"{len(off)} of {len(rows)} steps were taken in eval mode; {len(moody)} layers behave"
            " differently there",
            since=off[0]["step"],
            confidence=0.9,
            evidence={"layers": moody[:20]},
        )


MOODY = ("batchnorm", "dropout", "alphadropout", "featurealphadropout")


def _by_choice(chart: Chart) -> bool:
    frozen = any(t.facts.get("requires_grad") is False for t in chart.params.values())
    return bool(chart.facts.get("pretrained")) or frozen


def sick() -> list[Chart]:
    """After the first validation at step 10."""
    layers = {"drop": {"facts": {"kind": "Dropout"}}}
    return [training(layers=layers, step={"train_mode": lambda t: t < 10})]


def healthy() -> list[Chart]:
    """No such layers; a frozen trunk in eval mode."""
    layers = {"bn": {"facts": {"kind": "BatchNorm1d", "out_shape": [64, 64]}}}
    frozen = {"fc1.weight": {"facts": {"requires_grad": False}, "changed": False}}
    return [training(step={"train_mode": False}),
            training(layers=layers, params=frozen, step={"train_mode": False})]  # fmt: skip


CHECKS = {EvalModeInTraining.id: EvalModeInTraining()}
