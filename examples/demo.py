"""The demonstration: digits learned under the doctor's eyes, and two trainings that go wrong.

Run by `make demo`. Everything is real: scikit-learn's handwritten digits, the library's own loop,
and the doctor's own words. Runs are kept in ./runs.
"""

import argparse
import math
import time
from collections.abc import Sequence

import numpy as np

import snellen as sn
from snellen.doctor.report import text

RECIPE = "digits_lenet"
SPOILT = 123  # the training image that gets one pixel that is not a number


def main(arguments: Sequence[str] | None = None) -> sn.Run:
    """Train well, then twice badly; return the run that went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="seed of every random number")
    seed = parser.parse_args(arguments).seed

    title("1. Handwritten digits, the images of other writers held out")
    run = train_well(seed)
    title(f"2. The same, with one pixel of training image {SPOILT} not a number")
    show(train_on_a_spoilt_image(seed))
    title("3. The same, with a learning rate 1000 times too high")
    show(train_too_fast(seed))
    title("The report of the first training: curves, mistakes, filters, layers, findings")
    print((run.path / "report.html").resolve(), flush=True)
    return run


def train_well(seed: int) -> sn.Run:
    """The recipe as it is, with its display; says what it reached and what it cost."""
    began = time.process_time()
    run = sn.train(recipe=RECIPE, seed=seed)
    seconds = time.process_time() - began
    accuracy = run.metrics.get("accuracy", math.nan)
    print(f"held-out accuracy {accuracy:.2%} (best epoch), {seconds:.1f} CPU seconds", flush=True)
    return run


def train_on_a_spoilt_image(seed: int) -> sn.Run:
    """A few steps on arrays, as a user's own; nothing but the doctor would say what is wrong."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x_NCHW = (digits.images[:, None] / 16).astype(np.float32)
    x_NCHW[SPOILT, 0, 4, 4] = np.nan
    train = (x_NCHW[:1437], digits.target[:1437])
    held_out = (x_NCHW[1437:], digits.target[1437:])
    return sn.train((train, held_out), model="lenet5_bn", name="demo-nan", quiet=True,
                    epochs=2, imgsz=16, seed=seed)  # fmt: skip


def train_too_fast(seed: int) -> sn.Run:
    """The recipe, two epochs, its learning rate times 1000."""
    return sn.train(recipe=RECIPE, name="demo-lr", quiet=True, seed=seed, epochs=2, lr=300.0)


def show(run: sn.Run) -> None:
    """How a training ended and what the doctor says of it."""
    score = run.metrics.get("accuracy")
    reached = f"held-out accuracy {score:.2%}" if score is not None else "no epoch was finished"
    print(f"{run.path}: {run.status}, {reached}. The doctor says:", flush=True)
    print(text(run.findings), flush=True)


def title(words: str) -> None:
    """A heading, with air above it."""
    print(f"\n{words}\n", flush=True)


if __name__ == "__main__":
    main()
