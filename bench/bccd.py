"""Blood cells (BCCD, 205 pictures to train on, 87 to judge): AP50 of each class, CPU minutes.

Whatever `snellen train task=detect data=bccd` chooses, chooses here; a network of two stages stands
beside. The best epoch's boxes are counted by pycocotools alone. Published, all by their authors'
own word, on another split and at 640 pixels: mAP50 .89 to .93 of YOLOv5n .. YOLOv8m, pretrained
on COCO. The data are no part of the repository: SNELLEN_TEST_DATA names their folder, or they lie
in shared/data beside the clone.

python bench/bccd.py [ROW ...] [seeds=3]      # other rows are kept as they were
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from _timing import RESULTS, record_goals

import snellen as sn
from snellen.data.open import open_data
from snellen.tasks.coco_results import coco_results, xywh

DATA = os.environ.get("SNELLEN_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
ROWS: dict[str, dict[str, Any]] = {"one stage": {}, "two stages": {"model": "faster_rcnn-small"}}
WANTED = {"AP50/WBC": 0.90, "AP50/RBC": 0.80}
MINUTES = 10.0
PUBLISHED = {"mAP50, YOLOv5n .. YOLOv8m, pretrained on COCO, other split": [0.89, 0.93]}


def train(folder: Path, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Scores of the best epoch, and CPU minutes of the whole training."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as project:
        run = sn.train(folder, task="detect", threads=1, project=project, quiet=True, seed=seed,
                       **settings)  # fmt: skip
        minutes = (time.process_time() - start) / 60
        return {**judge(run, folder), "minutes": minutes}


def judge(run: Any, folder: Path) -> dict[str, float]:
    """Scores of the validation part as pycocotools counts them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    source = open_data(folder, task="detect")
    truths, found, images = [], [], []
    for id, sample in enumerate(source.val, 1):
        images.append({"id": id, "height": sample.size[0], "width": sample.size[1]})
        for box, label in zip(xywh(sample.target.boxes_N4), sample.target.labels, strict=True):
            truths.append({"id": len(truths) + 1, "image_id": id, "category_id": int(label),
                           "bbox": box, "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
        (answer,) = run.predictor.samples([sample])
        found += coco_results(answer, id, range(len(source.classes)))
    with redirect_stdout(StringIO()):
        truth = COCO()
        kinds = [{"id": k, "name": name} for k, name in enumerate(source.classes)]
        truth.dataset = {"images": images, "annotations": truths, "categories": kinds}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
            step()
    at_half = evaluation.eval["precision"][0, :, :, 0, -1].mean(0)  # IoU 0.5, recall, class
    scores = {f"AP50/{name}": float(ap) for name, ap in zip(source.classes, at_half, strict=True)}
    return {"mAP50-95": float(evaluation.stats[0]), "mAP50": float(evaluation.stats[1]), **scores}


def goals(rows: Mapping[str, list[dict[str, float]]]) -> dict[str, tuple[float, float, str]]:
    """What was reached of what is wanted, by the worst seed."""
    found: dict[str, tuple[float, float, str]] = {}
    for name, runs in rows.items():
        what = f"bccd, {name}, {len(runs)} seeds"
        for score, goal in WANTED.items():
            found[f"{what}, worst {score}"] = (min(run[score] for run in runs), goal, "at least")
        most = max(run["minutes"] for run in runs)
        found[f"{what}, CPU minutes"] = (most, MINUTES, "at most")
    return found


def main(words: list[str]) -> None:
    """Print a line a run, and keep the figures after each row."""
    torch.set_num_threads(1)
    folder = Path(DATA) / "bccd"
    if not folder.is_dir():
        print(f"  left out: no {folder}; SNELLEN_TEST_DATA names the folder that holds it")
        return
    seeds = next((int(w.partition("=")[2]) for w in words if w.startswith("seeds=")), 3)
    named = [word for word in words if not word.startswith("seeds=")]
    file = RESULTS / "bccd.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else {}
    for name in named or ROWS:
        rows[name] = [train(folder, ROWS[name], seed) for seed in range(seeds)]
        for run in rows[name]:
            print(f"  {name}: {', '.join(f'{k} {v:.3f}' for k, v in run.items())}", flush=True)
        record_goals("bccd", goals(rows), rows=rows, published=PUBLISHED)


if __name__ == "__main__":
    main(sys.argv[1:])
