"""Whether a lever of speed costs accuracy: each with and without, over seeds.

Five seeds of digits (the last 360 images held out) and three of Fashion-MNIST (3,000 to learn
from, 2,000 held out, where SNELLEN_TEST_DATA names the folder that holds it). A lever is off for a
network as small as this one, so each is forced. By shape is put to a harder test than in use: every
convolution and gradient takes the other way. The score is the last epoch's.

python bench/lever_scores.py
"""

import contextlib
import csv
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import record_goals
from torch import Tensor, nn

import snellen as sn
from snellen.nn.quickest import Quickest

PLAIN = {"speed": "auto", "amp": "off", "channels_last": False, "convolution": "library",
         "malloc": "system", "workers": 0, "precise_norm": False, "threads": 1}  # fmt: skip
BF16 = {"amp": "bf16", "channels_last": True}
LEVERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # without, with
    "bf16": ({}, {"amp": "bf16"}),
    "channels_last": ({}, {"channels_last": True}),
    "convolution by shape": (BF16, {**BF16, "convolution": "by_shape"}),
    "malloc kept": ({}, {"malloc": "keep"}),
    "precise norm": ({}, {"precise_norm": True}),
    "fused optimiser": ({"speed": "off"}, {}),
    "all of them": (
        {"speed": "off"},
        {**BF16, "convolution": "by_shape", "malloc": "keep", "precise_norm": True},
    ),
}
MARGIN = 0.005  # of accuracy, that a lever may cost where its seeds agree better than that


def net() -> nn.Module:
    """Convolutions whose shapes have both ways: 16 channels or more, on small maps."""

    def stage(before: int, after: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    body = [*stage(1, 16, 2), *stage(16, 32, 1), *stage(32, 32, 2), *stage(32, 64, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def digits() -> dict[str, Any]:
    return {"data": "digits", "imgsz": 16, "epochs": 6, "batch": 32, "augment": "affine"}


def fashion() -> dict[str, Any]:
    folder = Path(os.environ["SNELLEN_TEST_DATA"]) / "fashion_mnist"

    def part(name: str, count: int) -> tuple[Tensor, Tensor]:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            x, y = arrays["x"][:count], arrays["y"][:count]
        return torch.tensor(x)[:, None], torch.tensor(y).long()

    return {"data": (part("train", 3_000), part("test", 2_000)), "epochs": 4, "batch": 64}


@contextlib.contextmanager
def other_way(is_on: bool) -> Iterator[None]:
    """Every shape takes what is not the library's way."""
    former = Quickest.of
    if is_on:
        Quickest.of = lambda self, key, first, second: second()  # type: ignore[method-assign]
    try:
        yield
    finally:
        Quickest.of = former  # type: ignore[method-assign]


def score(settings: dict[str, Any], seed: int) -> float:
    """One training -> accuracy of its last epoch."""
    torch.manual_seed(seed)
    data = settings.pop("data")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
        other_way(settings["convolution"] == "by_shape"),
    ):
        run = sn.train(data, model=net(), optim="nesterov", lr=0.1, weight_decay=5e-4, seed=seed,
                       doctor=False, preflight="off", project=folder, quiet=True,
                       **settings)  # fmt: skip
        with open(run.folder.metrics) as file:
            rows = [row for row in csv.DictReader(file) if row["name"] == "accuracy"]
    return float(rows[-1]["value"])


def summary(scores: list[float]) -> dict[str, Any]:
    return {"worst": min(scores), "mean": statistics.mean(scores),
            "std": statistics.stdev(scores), "scores": scores}  # fmt: skip


def allowed(without: dict[str, Any], with_it: dict[str, Any]) -> float:
    """Two standard errors of the difference of the means, or MARGIN."""
    parts = [side["std"] ** 2 / len(side["scores"]) for side in (without, with_it)]
    return max(MARGIN, 2 * sum(parts) ** 0.5)


def main() -> None:
    torch.set_num_threads(1)
    sets: dict[str, tuple[Callable[[], dict[str, Any]], int]] = {"digits": (digits, 5)}
    if os.environ.get("SNELLEN_TEST_DATA"):
        sets["fashion_mnist"] = (fashion, 3)
    goals, rows = {}, []
    for name, (task, seeds) in sets.items():
        known: dict[str, dict[str, Any]] = {}  # a side that two levers share is trained once
        for lever, sides in LEVERS.items():
            began = time.process_time()
            found = []
            for side in sides:
                settings = {**PLAIN, **side}
                if (key := str(settings)) not in known:
                    known[key] = summary([score({**task(), **settings}, s) for s in range(seeds)])
                found.append(known[key])
            without, with_it = found
            loss = without["mean"] - with_it["mean"]
            goals[f"{name}, accuracy lost by {lever}"] = (loss, allowed(*found), "at most")
            rows.append({"data": name, "lever": lever, "without": without, "with": with_it})
            words = (f"worst {s['worst']:.4f} mean {s['mean']:.4f} std {s['std']:.4f}"
                     for s in found)  # fmt: skip
            took = time.process_time() - began
            print(f"  {name:<14} {lever:<21} {' | '.join(words)}  {took:.0f} CPU s", flush=True)
        record_goals("lever_scores", goals, rows=rows)  # after each set: the next takes minutes


if __name__ == "__main__":
    main()
