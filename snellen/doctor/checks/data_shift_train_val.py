"""A network judged on inputs of another scale than it was trained on is judged on nothing."""

from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import training
from ._readings import finite, num_optimizers, short

GAP, RATIO, BATCHES = 0.5, 2.0, 2


class ShiftTrainVal(Check):
    """Validation inputs with another mean or spread than the training inputs."""

    id = "data-shift-train-val"
    signal = "mean and std of validation batches beside those of training batches"
    threshold = {"gap of the means, in stds": GAP, "ratio of the stds": RATIO}
    source = "notes 002: normalise all parts with the statistics of the training part"
    why = "scores say how the network copes with a scale that it never saw"
    do = "the same transform for both, with the mean and std of the training set"
    bad = "train = Normalised(train_images); val = val_images"
    good = "train, val = Normalised(train_images, mean, std), Normalised(val_images, mean, std)"
    explains = ("gen-overfit", "gen-val-too-good")

    def look(self, chart: Chart) -> Finding | None:
        """Medians over the batches; batches of another shape are another matter."""
        train, val = _moments(chart, "train"), _moments(chart, "val")
        if not train or not val or num_optimizers(chart) > 1:
            return None
        gap = abs(val[0] - train[0]) / train[1]
        ratio = max(val[1] / train[1], train[1] / val[1])
        if gap <= GAP and ratio <= RATIO:
            return None
        return self.finding(
            f"validation inputs have mean {short(val[0])} and std {short(val[1])}, training inputs"
            f" {short(train[0])} and {short(train[1])}",
            confidence=0.85,
            evidence={"train": list(train), "val": list(val)},
        )


def _moments(chart: Chart, split: str) -> tuple[float, float] | None:
    shapes = [tuple(r.get("shape") or ())[1:] for r in chart.batches.get("train", ())]
    rows = [r for r in chart.batches.get(split, ()) if "float" in str(r.get("dtype"))
            and tuple(r.get("shape") or ())[1:] in shapes]  # fmt: skip
    rows = [r for r in rows if (r.get("shape") or [0])[0] >= 8]
    means, stds = finite(r.get("mean") for r in rows), finite(r.get("std") for r in rows)
    if min(len(means), len(stds)) < BATCHES or median(stds) <= 1e-6:
        return None
    return median(means), median(stds)


def sick() -> list[Chart]:
    """Training standardised, validation in [0, 1]."""
    return [_validated(mean=0.13, std=0.31)]


def healthy() -> list[Chart]:
    """The same transform; augmentation takes a little of the spread."""
    return [_validated(mean=0.02, std=1.01), _validated(mean=-0.1, std=1.2)]


def _validated(mean: float, std: float) -> Chart:
    chart = training()
    for step in (20, 30, 40):
        values = {"mean": mean, "std": std, "dtype": "float32", "shape": [64, 784],
                  "train_mode": False}  # fmt: skip
        chart.record({"kind": "batch", "step": step, "split": "val", "values": values})
    return chart


CHECKS = {ShiftTrainVal.id: ShiftTrainVal()}
