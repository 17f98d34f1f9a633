"""Seeing tasks on generated scenes of 96 x 96, 2,000 to train on: score, CPU minutes, three seeds.

Whatever `snellen train task=NAME data=shapes` chooses, chooses here; `seed` and threads=1 are all
that is said. The worst seed counts. The control trains on targets that were dealt anew among the
training scenes: what it scores must be what a network that learned nothing scores. What the
first seed says of scenes that it has not seen is drawn into docs/seeing.

python bench/seeing.py [ROW ...] [seeds=3]      # other rows are kept as they were
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import RESULTS, record_goals
from PIL import Image

import snellen as sn
from snellen.core import registry
from snellen.data.open import open_data
from snellen.data.sample import Sample
from snellen.data.source import SampleSet

PICTURES = Path(__file__).parents[1] / "docs" / "seeing"
SHOWN, GAP, QUALITY = 4, 8, 80  # scenes in a picture, pixels between them, JPEG's


@dataclass(frozen=True)
class Case:
    """What a task must reach: score at least, CPU minutes at most, control over the baseline."""

    goal: float
    minutes: float
    control: float = 0.1  # that shuffled targets may score above the baseline
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""  # where the case is not called by it


CASES = {  # what each must reach; one row a task, or a network of another kind
    "localise": Case(0.75, 4),
    "tag": Case(0.82, 8),
    "regress": Case(0.7, 4),
    "detect": Case(0.7, 4),
    "faster_rcnn": Case(
        0.55, 6, settings={"model": "faster_rcnn-small", "epochs": 6, "batch": 16}, task="detect"
    ),
    "instances": Case(0.55, 4),
    "segment": Case(0.65, 4),
    "pose": Case(0.65, 4),
}


class Dealt(SampleSet):
    """The same pictures, each with what is true of another."""

    def __init__(self, whole: SampleSet) -> None:
        self.whole, self.other = whole, np.random.RandomState(0).permutation(len(whole))

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        return replace(self.whole[i], target=self.whole[int(self.other[i])].target)


def train(
    task: str, case: Case, data: Any, picture: Path | None = None, **more: Any
) -> tuple[dict[str, float], float]:
    """The best epoch's metrics, and CPU minutes of the whole training."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        said = {"task": task, "threads": 1, "project": folder, "quiet": True, **case.settings}
        run = sn.train(data, **{**said, **more})
        metrics, minutes = run.metrics, (time.process_time() - start) / 60
        if picture is not None:
            draw(run, open_data(data, task=task).val, picture)
    return metrics, minutes


def draw(run: sn.Run, scenes: SampleSet, file: Path) -> None:
    """What a run says of some scenes, beside one another."""
    samples = [scenes[i] for i in range(SHOWN)]
    said = run.predict([sample.image_CHW for sample in samples])
    drawn = [run.predictor.task.draw(*pair) for pair in zip(samples, said, strict=True)]
    width = sum(one.width for one in drawn) + GAP * (SHOWN - 1)
    sheet = Image.new("RGB", (width, max(one.height for one in drawn)), "white")
    for i, one in enumerate(drawn):
        sheet.paste(one, (i * (drawn[0].width + GAP), 0))
    file.parent.mkdir(exist_ok=True)
    sheet.save(file, quality=QUALITY)


def control(task: str, case: Case) -> tuple[float, float]:
    """(score of five epochs on shuffled targets, score of the baseline)."""
    kind = registry.get("snellen.tasks", "TASKS", task)
    source = kind.adapt(open_data("shapes", task=task))
    shuffled = replace(source, train=Dealt(source.train), variants={})
    metrics, _ = train(task, case, shuffled, epochs=5, doctor=False, preflight="off")
    baseline = kind.from_source(source).baseline(source.val)
    return metrics[kind.score], baseline[kind.score]


def measure(name: str, seeds: int) -> dict[str, Any]:
    """A row of the table."""
    case, task = CASES[name], CASES[name].task or name
    score = registry.get("snellen.tasks", "TASKS", task).score
    picture = PICTURES / f"{name}.jpg"
    runs = [train(task, case, "shapes", None if seed else picture, seed=seed)
            for seed in range(seeds)]  # fmt: skip
    shuffled, baseline = control(task, case)
    row = {"task": name, "score": score, "seeds": [m[score] for m, _ in runs],
           "minutes": [minutes for _, minutes in runs], "metrics": [m for m, _ in runs],
           "shuffled": shuffled, "baseline": baseline}  # fmt: skip
    scores = ", ".join(f"{value:.3f}" for value in row["seeds"])
    print(f"  {name:<10} {score} {scores}; {max(row['minutes']):.1f} CPU min; shuffled "
          f"{shuffled:.3f}, baseline {baseline:.3f}", flush=True)  # fmt: skip
    return row


def main(words: list[str]) -> None:
    """Print a line a task, and keep the figures."""
    torch.set_num_threads(1)
    seeds = next((int(w.partition("=")[2]) for w in words if w.startswith("seeds=")), 3)
    named = [word for word in words if not word.startswith("seeds=")]
    file = RESULTS / "seeing.json"
    kept = json.loads(file.read_text())["rows"] if file.exists() and named else []
    rows = {row["task"]: row for row in kept}
    rows |= {name: measure(name, seeds) for name in named or CASES}
    goals: dict[str, tuple[float, float, str]] = {}
    for task, row in rows.items():
        case = CASES[task]
        what = f"{task} on scenes, {len(row['seeds'])} seeds"
        goals[f"{what}, worst {row['score']}"] = (min(row["seeds"]), case.goal, "at least")
        goals[f"{what}, CPU minutes"] = (max(row["minutes"]), case.minutes, "at most")
        most = row["baseline"] + case.control
        goals[f"{task}, targets shuffled, {row['score']}"] = (row["shuffled"], most, "at most")
    record_goals("seeing", goals, rows=list(rows.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
