"""A network judged on inputs of another scale than it was trained on is judged on nothing."""

from collections.abc import Iterable, Sequence
from statistics import median

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import finite, num, num_optimizers, short

GAP, RATIO, BATCHES = 0.5, 2.0, 2
FAR = 3.0  # times as much where the training inputs are augmented
LEAST, CHANNELS = 50, 16  # samples of each set; more channels are features


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
        """Medians over the batches, which no batch of training may reach; batches of another shape
        are another matter.
        """
        rows, val_rows = _moments(chart, "train"), _moments(chart, "val")
        if num_optimizers(chart) > 1:
            return None
        if not rows or not val_rows:
            return self._by_channel(chart.exams.get("moments") or {})
        (means, stds), (train, val) = zip(*rows, strict=True), (_middle(rows), _middle(val_rows))
        gap = abs(val[0] - train[0]) / train[1]
        ratio = max(val[1] / train[1], train[1] / val[1])
        room = FAR if _is_augmented(chart) else 1.0
        is_moved = gap > GAP * room and not min(means) <= val[0] <= max(means)
        is_spread = ratio > RATIO * room and not min(stds) <= val[1] <= max(stds)
        if not is_moved and not is_spread:
            return None
        return self.finding(
            f"validation inputs have mean {short(val[0])} and std {short(val[1])}, training inputs"
            f" {short(train[0])} and {short(train[1])}",
            level="advice" if _targets_follow(chart) else self.level,
            confidence=0.85,
            evidence={"train": list(train), "val": list(val)},
        )

    def _by_channel(self, exam: dict) -> Finding | None:
        """Before a training: each channel of the two data sets."""
        if min(num(exam, "num_train") or 0, num(exam, "num_val") or 0) < LEAST:
            return None
        names = ("train_mean", "train_std", "val_mean", "val_std")
        columns = [finite(exam.get(name) or []) for name in names]
        if len({len(column) for column in columns}) != 1:
            return None
        for i, (mean, std, val_mean, val_std) in enumerate(zip(*columns, strict=True)):
            if min(std, val_std) < 1e-6 * max(1.0, abs(mean)) or len(columns[0]) > CHANNELS:
                continue  # columns of a table are rare words as often as measurements
            gap, ratio = abs(val_mean - mean) / std, max(val_std / std, std / val_std)
            room = FAR if exam.get("augmented") else 1.0
            if gap > GAP * room or ratio > RATIO * room:
                return self.finding(
                    f"channel {i} of the validation set has mean {short(val_mean)} and std"
                    f" {short(val_std)}, of the training set {short(mean)} and {short(std)}",
                    confidence=0.8,
                    evidence={"channel": i, "gap": gap, "ratio": ratio},
                )
        return None


def _is_augmented(chart: Chart) -> bool:
    """Whether training inputs are changed on their way: by the loop's own word, or read twice, a
    batch beside its loader's.
    """
    if chart.facts.get("augments"):
        return True
    rows = chart.batches.get("train", ())
    anew = (chart.exams.get("moments") or {}).get("augmented")
    return bool(anew) or any(row.get("altered") for row in rows)


def _targets_follow(chart: Chart) -> bool:
    """Whether the targets have shifted too: a forecast's later part, and no transform's doing."""
    sides = []
    for split in ("train", "val"):
        rows = chart.batches.get(split, ())
        means, stds = (finite(r.get(f"target_{k}") for r in rows) for k in ("mean", "std"))
        if not means or not stds:
            return False
        sides.append((median(means), median(stds)))
    (mean, std), (val_mean, val_std) = sides
    return abs(val_mean - mean) > GAP * std or not std < RATIO * val_std < RATIO**2 * std


def _moments(chart: Chart, split: str) -> set[tuple[float, float]]:
    """(mean, std) of the batches that are fed as those of training are; one that comes again, as in
    each validation, counts once. Nothing where they are too few or hold one number only.
    """
    shapes = [tuple(r.get("shape") or ())[1:] for r in chart.batches.get("train", ())]
    rows = [r for r in chart.batches.get(split, ()) if "float" in str(r.get("dtype"))
            and tuple(r.get("shape") or ())[1:] in shapes]  # fmt: skip
    rows = [r for r in rows if (r.get("shape") or [0])[0] >= 8]
    told = [p for r in rows if len(p := finite([r.get("mean"), r.get("std")])) == 2]
    if len(told) < BATCHES or _middle(told)[1] <= 1e-6:
        return set()
    return {(mean, std) for mean, std in told}


def _middle(pairs: Iterable[Sequence[float]]) -> tuple[float, float]:
    means, stds = zip(*pairs, strict=True)
    return median(means), median(stds)


def sick() -> list[Chart]:
    """Training standardised, validation in [0, 1]; one channel of three in another scale."""
    return [_validated(mean=0.13, std=0.31), _channels([0.1, 0.0, 0.6])]


def healthy() -> list[Chart]:
    """The same transform; augmentation takes a little of the spread, or adds noise; a forecast;
    pictures whose light differs so that batches do, and the same validation batch again and again.
    """
    noisy = _validated(mean=0.0, std=0.45)
    noisy.record(examined("moments", augmented=True))
    cropped = _validated(mean=0.6, std=0.9)
    cropped.record({"kind": "facts", "step": 0, "values": {"augments": True}})
    later = _validated(mean=1.2, std=0.9, target_mean=1.3, target_std=0.8)
    for row in later.batches["train"]:
        row |= {"target_mean": 0.0, "target_std": 0.8}
    lit = _validated(mean=0.63, std=0.98)
    for i, row in enumerate(lit.batches["train"]):
        row["mean"] = 0.7 if i % 2 else -0.6
    return [
        noisy,
        cropped,
        later,
        lit,
        _validated(mean=0.02, std=1.01),
        _validated(mean=-0.1, std=1.2),
        _channels([0.1, -0.1, 0.2]),
    ]


def _channels(val_mean: list[float]) -> Chart:
    values = {"train_mean": [0.0] * 3, "train_std": [1.0] * 3, "val_mean": val_mean,
              "val_std": [1.1] * 3, "num_train": 800, "num_val": 200}  # fmt: skip
    return training(sick=(examined("moments", **values),))


def _validated(mean: float, std: float, **more: float) -> Chart:
    chart = training()
    for step in (20, 30, 40):
        values = {"mean": mean, "std": std, "dtype": "float32", "shape": [64, 784],
                  "train_mode": False, **more}  # fmt: skip
        chart.record({"kind": "batch", "step": step, "split": "val", "values": values})
    return chart


CHECKS = {ShiftTrainVal.id: ShiftTrainVal()}
