"""Digits by recipe=digits_lenet: three seeds, the last 360 images (other writers) held out.

The score is the last epoch's, not the best epoch's: nothing is chosen on the held-out images. CPU
seconds are of the training alone, without imports and without drawing the report.
"""

import contextlib
import csv
import io
import statistics
import tempfile
import time

import torch
from _timing import record_goals

import snellen as sn
from snellen.recipes.digits_lenet import RECIPES
from snellen.train.session import Session

EXPECT = RECIPES["digits_lenet"].expect


def one(seed: int, doctor: bool = True) -> tuple[float, float]:
    """Seed -> accuracy of the last epoch, CPU seconds of the training."""
    seconds = 0.0
    original = Session.train

    def timed(session: Session) -> str:
        nonlocal seconds
        start = time.process_time()
        status = original(session)
        seconds = time.process_time() - start
        return status

    Session.train = timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            run = sn.train(recipe="digits_lenet", seed=seed, doctor=doctor, project=folder)
            with open(run.folder.metrics) as file:
                rows = [r for r in csv.DictReader(file) if r["name"] == "accuracy"]
    finally:
        Session.train = original  # type: ignore[method-assign]
    return float(rows[-1]["value"]), seconds


def main() -> None:
    torch.set_num_threads(1)
    results = [one(seed) for seed in range(EXPECT.seeds)]
    scores, seconds = zip(*results, strict=True)
    for seed, (score, cpu) in enumerate(results):
        print(f"  seed {seed}: accuracy {score:.4f}   {cpu:.1f} CPU s")
    record_goals(
        "digits",
        {
            "digits, worst of three seeds, last epoch": (min(scores), EXPECT.score, "at least"),
            "digits, CPU seconds a seed, median": (statistics.median(seconds), 4, "at most"),
        },
        scores=scores,
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
