"""Before training every class is equally likely: the first loss of C classes is ln C."""

import math
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import is_cross_entropy, num_classes, progress, short, surer

SEVERE, RECOVERED = 2.5, 0.5  # middle of 1.9 (fine-tuned) and 3.3 (drawn too wide); of the loss


class InitialLoss(Check):
    """A first cross-entropy far above that of an even guess."""

    id = "init-loss-unexpected"
    signal = "cross-entropy of the first batch over ln(classes)"
    threshold = 1.5
    source = "notes 003, sanity checks; measured 0.94 to 1.13 on 30 healthy trainings"
    why = "the network starts confident and wrong: the first steps only unlearn that"
    do = "give the last layer small weights (std 0.01); still wrong: compare labels with outputs"
    bad = "nn.init.normal_(net.head.weight, std=1.0)"
    good = "nn.init.normal_(net.head.weight, std=0.01)"
    explains = ("grad-exploding",)

    def look(self, chart: Chart) -> Finding | None:
        """The first call of the loss, before any step; below ln C is legal (fine-tuning)."""
        classes = num_classes(chart)
        first = _first_loss(chart)
        if classes < 2 or first is None or not is_cross_entropy(chart):
            return None
        even = math.log(classes)
        if first <= self.threshold * even:
            return None
        # Features of a trained body are large, so a new head starts off up to 1.9 times ln C.
        is_mild = first < SEVERE * even
        frozen, tensors = (chart.facts.get(k) or 0 for k in ("frozen", "tensors"))
        if frozen and (is_mild or frozen == tensors):  # then the input is what is optimised
            return None
        return self.finding(
            f"the first loss is {short(first)}, {short(first / even)} times that of an even guess"
            f" of {classes} classes ({short(even)})",
            level="advice" if _is_by_design(chart, is_mild) else self.level,
            confidence=surer(first / even, self.threshold, 0.65, 0.9),
            evidence={"first_loss": first, "even_guess": even},
        )


def _is_by_design(chart: Chart, is_mild: bool) -> bool:
    """Scaled cosines with a margin (ArcFace) begin far above an even guess, and come down."""
    first: dict[str, Any] = next(iter(chart.loss_calls), {})
    return (is_mild or bool(first.get("cosines"))) and progress(chart) > RECOVERED


def _first_loss(chart: Chart) -> float | None:
    """Loss at step 0 where it is a mean of plain cross-entropy."""
    for row in chart.loss_calls:
        if row["step"] > 0 or row.get("reduction") not in (None, "mean"):
            return None
        value = row.get("value")
        return float(value) if value is not None and math.isfinite(value) else None
    for row in chart.steps:
        if row["step"] <= 1 and row.get("loss") is not None and math.isfinite(row["loss"]):
            return float(row["loss"])
        return None
    return None


def sick() -> list[Chart]:
    """Ten classes and a first loss of 23."""
    value = {"value": lambda t: 23.0 * math.exp(-t / 15) + 0.1}
    return [training(loss_call=value, step={"loss": value["value"]})]


def healthy() -> list[Chart]:
    """Fine-tuned; a summed loss; no cross-entropy; a new head on features; scaled cosines."""
    head = {"value": lambda t: 4.3 * math.exp(-t / 15) + 0.1}
    summed = {"value": lambda t: 148 * math.exp(-t / 15), "reduction": "sum"}
    arc = {"value": lambda t: 19.0 * math.exp(-t / 15) + 0.4, "cosines": True}
    mse = {"function": "mse_loss", "value": 40.0, "classes": None}
    return [
        training(loss_call={"value": 0.5}, facts={"pretrained": True}),
        training(loss_call=summed, step={"loss": summed["value"]}),
        training(loss_call=head, step={"loss": head["value"]}),
        training(loss_call={"value": 4.0}, step={"loss": 4.0}, facts={"frozen": 4, "tensors": 6}),
        training(loss_call=mse, facts={"classes": None, "loss_fn": "MSELoss"}),
        training(loss_call=arc, step={"loss": arc["value"]}),
    ]


CHECKS = {InitialLoss.id: InitialLoss()}
