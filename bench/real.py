"""Real pictures: score, CPU minutes, three seeds; the worst seed counts where there is a goal.

Whatever `snellen train task=NAME data=FOLDER` chooses, chooses here, but for fewer epochs, which
cost less and score less; `seed` and threads=1 are all else that is said. The data are no part of
the repository: SNELLEN_TEST_DATA names their folder, or they lie in shared/data beside the clone; a
row whose data are absent is said and left out. A network that was trained on nuclei is also asked
for pictures of other sizes, which hold the same nuclei: grown by half, cut into quarters, and laid
four and four together.

python bench/real.py [ROW ...] [seeds=3]      # other rows are kept as they were
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import RESULTS, record_goals
from scipy import ndimage

import snellen as sn
from snellen.core import registry
from snellen.data.inputs import resize
from snellen.data.open import open_data
from snellen.data.sample import Prediction, Sample, Target
from snellen.data.source import Source
from snellen.tasks._coco import CocoScores
from snellen.tasks._pixels import PixelScores

DATA = os.environ.get("SNELLEN_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A folder of DATA, a task, and what it must reach; a score without a goal is only reported."""

    folder: str
    task: str
    score: str
    goal: float | None = None
    minutes: float = 10.0
    epochs: int | None = None
    more: bool = False  # whether things by connected parts, and other sizes, are asked for


CASES = {
    "nuclei": Case("nuclei", "segment", "Dice", 0.88, epochs=14, more=True),
    "nuclei_things": Case("nuclei", "instances", "mAP50-95", epochs=10),
    "camvid240": Case("unclear/camvid240", "segment", "mIoU", epochs=20),
}


def train(case: Case, seed: int) -> dict[str, float]:
    """The best epoch's metrics, CPU minutes of the whole training among them."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = sn.train(Path(DATA) / case.folder, task=case.task, threads=1, project=folder,
                       quiet=True, seed=seed, epochs=case.epochs)  # fmt: skip
        metrics = {**run.metrics, "minutes": (time.process_time() - start) / 60}
        if case.more and not seed:
            metrics |= beside(run, case)
    said = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    print(f"  {case.folder} {case.task} seed {seed}: {said}", flush=True)
    return metrics


def beside(run: Any, case: Case) -> dict[str, float]:
    """AP of the connected parts of the map as things, and Dice on pictures of other sizes."""
    things = open_data(Path(DATA) / case.folder, task="instances")
    scores = CocoScores(list(things.classes), "segm")
    for sample in _validation(things):
        (found,) = run.predictor.samples([replace(sample, target=Target())])
        assert found.semantic_HW is not None
        scores.update([parts(found.semantic_HW)], [sample.target])
    ap = scores.compute()
    found = {f"connected parts, {name}": ap[name] for name in ("mAP50-95", "mAP50")}
    maps = open_data(Path(DATA) / case.folder, task="segment")
    for name, changed in SIZES.items():
        pixels = PixelScores(list(maps.classes))
        for sample in changed(_validation(maps)):
            pixels.update(run.predictor.samples([sample]), [sample.target])
        found[f"Dice, {name}"] = pixels.compute()["Dice"]
    return found


def _validation(source: Source) -> list[Sample]:
    assert source.val is not None
    return [source.val[i] for i in range(len(source.val))]


def parts(semantic_HW: torch.Tensor) -> Prediction:
    """A map of ground and things -> each connected part is one thing; all are as sure."""
    numbers_HW, count = ndimage.label(semantic_HW.numpy() > 0)
    masks = torch.from_numpy(numbers_HW[None] == np.arange(1, count + 1)[:, None, None])
    boxes = torch.zeros(count, 4)
    for i, (rows, columns) in enumerate(ndimage.find_objects(numbers_HW)):
        boxes[i] = torch.tensor([columns.start, rows.start, columns.stop, rows.stop])
    labels = torch.zeros(count, dtype=torch.int64)
    return Prediction(labels=labels, boxes_N4=boxes, scores_N=torch.ones(count), masks_NHW=masks)


def grown(samples: list[Sample]) -> Iterator[Sample]:
    """Pictures of one and a half times the sides."""
    for sample in samples:
        height, width = (3 * side // 2 for side in sample.size)
        rows, columns = (torch.arange(side) * 2 // 3 for side in (height, width))
        assert sample.target.semantic_HW is not None
        map_HW = sample.target.semantic_HW[rows][:, columns]
        yield _changed(sample, resize(sample.image_CHW, height, width), map_HW)


def quarters(samples: list[Sample]) -> Iterator[Sample]:
    """The four quarters of each picture."""
    for sample in samples:
        half = [side // 2 for side in sample.size]
        for top, left in ((0, 0), (0, half[1]), (half[0], 0), (half[0], half[1])):
            place = (..., slice(top, top + half[0]), slice(left, left + half[1]))
            assert sample.target.semantic_HW is not None
            yield _changed(sample, sample.image_CHW[place], sample.target.semantic_HW[place])


def fours(samples: list[Sample]) -> Iterator[Sample]:
    """Four pictures laid together, two and two."""
    for i in range(0, len(samples) - 3, 4):
        one = samples[i : i + 4]
        images, maps = zip(*((s.image_CHW, s.target.semantic_HW) for s in one), strict=True)
        yield _changed(one[0], _laid(images), _laid(maps))


def _laid(four: Any) -> torch.Tensor:
    return torch.cat([torch.cat(four[k : k + 2], -1) for k in (0, 2)], -2)


def _changed(sample: Sample, image_CHW: torch.Tensor, map_HW: torch.Tensor) -> Sample:
    return replace(sample, image_CHW=image_CHW, target=Target(semantic_HW=map_HW))


SIZES = {"grown by half": grown, "quarters": quarters, "fours": fours}


def measured(name: str, seeds: int) -> Iterator[dict[str, Any]]:
    """A row of the table, one seed longer each time."""
    case = CASES[name]
    kind = registry.get("snellen.tasks", "TASKS", case.task)
    source = kind.adapt(open_data(Path(DATA) / case.folder, task=case.task))
    assert source.val is not None
    row: dict[str, Any] = {"row": name, "metrics": []}
    row["baseline"] = kind.from_source(source).baseline(source.val)
    for seed in range(seeds):
        row["metrics"].append(train(case, seed))
        yield row


def goals(rows: Mapping[str, dict[str, Any]]) -> dict[str, tuple[float, float, str]]:
    """What was reached of what is wanted."""
    found: dict[str, tuple[float, float, str]] = {}
    for name, row in rows.items():
        case, metrics = CASES[name], row["metrics"]
        what = f"{name}, task={case.task}, {len(metrics)} seeds"
        if case.goal is not None:
            worst = min(m[case.score] for m in metrics)
            found[f"{what}, worst {case.score}"] = (worst, case.goal, "at least")
        most = max(m["minutes"] for m in metrics)
        found[f"{what}, CPU minutes"] = (most, case.minutes, "at most")
    return found


def main(words: list[str]) -> None:
    """Keep the figures after each training, and print them."""
    torch.set_num_threads(1)
    seeds = next((int(w.partition("=")[2]) for w in words if w.startswith("seeds=")), 3)
    named = [word for word in words if not word.startswith("seeds=")]
    file = RESULTS / "real.json"
    kept = json.loads(file.read_text())["rows"] if file.exists() else []
    rows = {row["row"]: row for row in kept}
    for name in named or CASES:
        if not (Path(DATA) / CASES[name].folder).is_dir():
            print(f"  {name} is left out: no {Path(DATA) / CASES[name].folder}; SNELLEN_TEST_DATA "
                  "names the folder that holds it")  # fmt: skip
            continue
        for row in measured(name, seeds):
            rows[name] = row
            record_goals("real", goals(rows), rows=list(rows.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
