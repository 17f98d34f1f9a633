"""An augmentation after which no sample is like itself any more."""

import math

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import answer, training
from ._readings import (
    ends,
    is_cross_entropy,
    losses,
    num_classes,
    num_optimizers,
    probed,
    progress,
)

AGREE, FALL = 0.15, 0.15
MIXED = 0.6  # of one item of the batch in what was received; by chance it measures up to 0.4


class AugmentationDestroys(Check):
    """What the network received has nothing left of how the data set's items differ."""

    id = "data-augmentation-destroys"
    signal = "correlation of distances between samples: as received, and as the data set gives them"
    threshold = {"correlation": AGREE, "fall of the loss": FALL}
    source = "notes 004, augmentation: it must keep the label"
    why = "with the content gone there is nothing to learn from; the loss stays at chance"
    do = "weaken the augmentation; look at a batch as the network gets it"
    bad = "x = x + 20 * torch.randn_like(x)"
    good = "x = x + 0.1 * torch.randn_like(x)"
    explains = ("lr-too-low", "gen-underfit", "label-misaligned", "data-unnormalised",
                "data-outlier", "output-constant", "data-shift-train-val")  # fmt: skip

    def look(self, chart: Chart) -> Finding | None:
        """Only where the loss does not fall; permuted pixels keep their distances."""
        rows = probed(chart, "received")
        if not rows or num_optimizers(chart) > 1 or _learns(chart):
            return None
        agreement = rows[-1].get("agreement")
        if agreement is None or agreement >= AGREE or rows[-1].get("mixed", 0.0) > MIXED:
            return None
        return self.finding(
            f"distances between {rows[-1].get('samples', 0)} samples as the network received them"
            f" correlate by {agreement:.2f} with those of the data set's items",
            confidence=0.85,
            evidence={"agreement": agreement},
        )


def _learns(chart: Chart) -> bool:
    """Whether the loss fell, and below that of an even guess where that is known."""
    classes, series = num_classes(chart), losses(chart)
    if classes < 2 or not is_cross_entropy(chart) or not series:
        return progress(chart) > FALL
    return ends(series)[1] < (1 - FALL) * math.log(classes)


def sick() -> list[Chart]:
    """Noise twenty times the picture."""
    return [training(step={"loss": 2.303}, sick=(answer("received", 40, agreement=0.02,
                                                        samples=32),))]  # fmt: skip


def healthy() -> list[Chart]:
    """Crops; a loss that falls all the same; mixup, whose loss cannot fall far."""
    mixup = answer("received", 40, agreement=-0.03, mixed=0.93, samples=32)
    return [*(training(sick=(answer("received", 40, agreement=value),)) for value in (0.6, 0.05)),
            training(step={"loss": 2.2}, sick=(mixup,))]  # fmt: skip


CHECKS = {AugmentationDestroys.id: AugmentationDestroys()}
