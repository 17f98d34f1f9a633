"""Whether a lever of speed costs accuracy: each with and without, over seeds.

Eight seeds of digits (360 images held out), five of the same digits as large JPEGs, and five of
Fashion-MNIST (3,000 to learn from, 2,000 held out, where SNELLEN_TEST_DATA names the folder that
holds it). A lever is off for a network as small as this one, so each is forced. By shape is put to
a harder test than in use: every convolution, gradient and norm takes the other way. The score is
the last epoch's. Both sides of a seed have the same data, order and first weights, so they are
compared in pairs. The mean loss over the seeds may be MARGIN, however noisy they are; its 95 %
interval (Student's t) is printed beside it and tells what the seeds could have seen.

python bench/lever_scores.py
"""

import atexit
import contextlib
import csv
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import record_goals
from PIL import Image
from torch import Tensor, nn

import snellen as sn
from snellen.data.open import open_data
from snellen.nn.quickest import Quickest

PLAIN = {"speed": "auto", "amp": "off", "channels_last": False, "convolution": "library",
         "norm": "library", "malloc": "system", "workers": 0, "readers": 0, "decoding": "whole",
         "preparing": "torch", "residency": "memory", "fused": True, "precise_norm": False,
         "threads": 1}  # fmt: skip
BF16 = {"amp": "bf16", "channels_last": True}
Levers = dict[str, tuple[dict[str, Any], dict[str, Any]]]
LEVERS: Levers = {  # without, with
    "bf16": ({}, {"amp": "bf16"}),
    "channels_last": ({}, {"channels_last": True}),
    "convolution by shape": (BF16, {**BF16, "convolution": "by_shape"}),
    "norm by shape": (BF16, {**BF16, "norm": "by_shape"}),
    "preparing compiled": ({"augment": "crop"}, {"augment": "crop", "preparing": "compiled"}),
    "malloc kept": ({}, {"malloc": "keep"}),
    "precise norm": ({}, {"precise_norm": True}),
    "fused optimiser": ({"fused": False}, {}),
    "all of them": (
        {"augment": "crop", "fused": False},
        {**BF16, "convolution": "by_shape", "norm": "by_shape", "malloc": "keep",
         "preparing": "compiled", "augment": "crop", "precise_norm": True},
    ),
}  # fmt: skip
OF_FILES: Levers = {
    "decoding near": ({}, {"decoding": "near"}),
    "readers": ({}, {"readers": 2}),
    "held in memory": ({"residency": "files"}, {}),
}
MARGIN = 0.003  # of accuracy, that a lever may cost in the mean: one of 360 images
T95 = {4: 2.776, 7: 2.365}  # Student's t, 95 % in the middle, by degrees of freedom
SIDE = 128  # of the JPEGs, which are fed at 16: libjpeg shrinks them to a quarter first


def net() -> nn.Module:
    """Convolutions whose shapes have both ways: 16 channels or more, on small maps."""

    def stage(before: int, after: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    body = [*stage(1, 16, 2), *stage(16, 32, 1), *stage(32, 32, 2), *stage(32, 64, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def digits() -> dict[str, Any]:
    return {"data": "digits", "imgsz": 16, "epochs": 6, "batch": 32, "augment": "affine"}


@cache
def files() -> dict[str, Any]:
    """The digits as JPEGs in folders, gone when the program ends."""
    holder = tempfile.TemporaryDirectory()
    atexit.register(holder.cleanup)
    source = open_data("digits")
    assert source.val is not None
    for part, samples in (("train", source.train), ("val", source.val)):
        for i, sample in enumerate(samples):
            folder = Path(holder.name) / part / str(sample.target.label)
            folder.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(sample.image_CHW[0].numpy()).resize((SIDE, SIDE))
            image.save(folder / f"{i}.jpg", quality=95)
    return {**digits(), "data": holder.name}


def fashion() -> dict[str, Any]:
    folder = Path(os.environ["SNELLEN_TEST_DATA"]) / "fashion_mnist"

    def part(name: str, count: int) -> tuple[Tensor, Tensor]:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            x, y = arrays["x"][:count], arrays["y"][:count]
        return torch.tensor(x)[:, None], torch.tensor(y).long()

    return {"data": (part("train", 3_000), part("test", 2_000)), "epochs": 4, "batch": 64}


@contextlib.contextmanager
def other_way(is_on: bool) -> Iterator[None]:
    """Every shape takes what is not the library's way: a convolution's and a norm's."""
    former = Quickest.is_second
    if is_on:
        Quickest.is_second = lambda self, key, first, second: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        Quickest.is_second = former  # type: ignore[method-assign]


def score(settings: dict[str, Any], seed: int) -> float:
    """One training -> accuracy of its last epoch."""
    torch.manual_seed(seed)
    data = settings.pop("data")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
        other_way("by_shape" in (settings["convolution"], settings["norm"])),
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


def lost(without: dict[str, Any], with_it: dict[str, Any]) -> tuple[float, float]:
    """The mean of what a lever cost each seed, and half of its 95 % interval."""
    pairs = [a - b for a, b in zip(without["scores"], with_it["scores"], strict=True)]
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    return statistics.mean(pairs), T95[len(pairs) - 1] * error


def main() -> None:
    torch.set_num_threads(1)
    sets: dict[str, tuple[Callable[[], dict[str, Any]], int, Levers]] = {
        "digits": (digits, 8, LEVERS),
        "digits as JPEGs": (files, 5, OF_FILES),
    }
    if os.environ.get("SNELLEN_TEST_DATA"):
        sets["fashion_mnist"] = (fashion, 5, LEVERS)
    goals, rows = {}, []
    for name, (task, seeds, levers) in sets.items():
        known: dict[str, dict[str, Any]] = {}  # a side that two levers share is trained once
        for lever, sides in levers.items():
            began = time.process_time()
            found = []
            for side in sides:
                settings = {**PLAIN, **side}
                if (key := str(settings)) not in known:
                    known[key] = summary([score({**task(), **settings}, s) for s in range(seeds)])
                found.append(known[key])
            without, with_it = found
            loss, half = lost(without, with_it)
            goals[f"{name}, accuracy lost by {lever}"] = (loss, MARGIN, "at most")
            rows.append({"data": name, "lever": lever, "lost": [loss - half, loss + half],
                         "without": without, "with": with_it})  # fmt: skip
            words = (f"worst {s['worst']:.4f} mean {s['mean']:.4f} std {s['std']:.4f}"
                     for s in found)  # fmt: skip
            took = time.process_time() - began
            print(f"  {name:<15} {lever:<21} {' | '.join(words)}  lost {loss:+.4f} +- {half:.4f}"
                  f"  {took:.0f} CPU s", flush=True)  # fmt: skip
        record_goals("lever_scores", goals, rows=rows)  # after each set: the next takes minutes


if __name__ == "__main__":
    main()
