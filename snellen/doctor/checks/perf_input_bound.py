"""A network that waits for its batches trains as slowly as they are read."""

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num

SHARE, BATCHES, LEAST = 0.5, 20, 0.01
SAMPLE = 2e-4  # seconds: a tensor in memory takes a tenth of it, a photo ten times as long


class InputBound(Check):
    """Most of the time goes into waiting for the next batch."""

    id = "perf-input-bound"
    signal = "time in next(loader) beside the time from batch to batch, first batches left out"
    threshold = (
        f"more than {SHARE:.0%} over {BATCHES} batches, {1000 * LEAST:g} ms a batch and"
        f" {1000 * SAMPLE:g} ms a sample"
    )
    source = "PyTorch's performance tuning guide: asynchronous data loading"
    why = "the training takes twice as long as it could, or longer"
    do = (
        "num_workers in the DataLoader; read and resize once and keep the result in memory; "
        "in `snellen train` readers= are for files, workers= for a Dataset of yours"
    )
    bad = "loader = DataLoader(photos, 64, shuffle=True)"
    good = "loader = DataLoader(photos, 64, shuffle=True, num_workers=4, persistent_workers=True)"

    def look(self, chart: Chart) -> Finding | None:
        """Waits of a few milliseconds are the loader's own overhead."""
        exam = chart.exams.get("waits") or {}
        count, waited, seconds = (num(exam, k) for k in ("batches", "waited", "seconds"))
        if not count or not seconds or waited is None or count < BATCHES:
            return None
        if waited <= SHARE * seconds or waited / count < LEAST:
            return None
        samples = num(chart.facts, "batch_size") or 1
        is_slow = waited / count > SAMPLE * samples  # else a busy machine slows a quick reader
        return self.finding(
            f"{waited / seconds:.0%} of the time was waiting for data: {1000 * waited / count:.0f}"
            f" of {1000 * seconds / count:.0f} ms a batch over {int(count)} batches",
            level=self.level if is_slow else "advice",
            settings={"workers": 4},
            confidence=0.75,
            evidence={"waited": waited, "seconds": seconds, "batches": int(count)},
        )


def sick() -> list[Chart]:
    """80 of 100 ms."""
    return [training(sick=(examined("waits", batches=50, waited=4.0, seconds=5.0),))]


def healthy() -> list[Chart]:
    """Workers keep up; a tiny network; tensors in memory, while others use the machine."""
    return [training(sick=(examined("waits", batches=50, waited=0.5, seconds=5.0),)),
            training(sick=(examined("waits", batches=900, waited=0.45, seconds=0.7),)),
            training(facts={"batch_size": 512},
                     sick=(examined("waits", batches=80, waited=2.1, seconds=3.6),))]  # fmt: skip


CHECKS = {InputBound.id: InputBound()}
