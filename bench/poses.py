"""People bottom-up and top-down on the same drawn scenes, one seed, and what must ruin them.

openpose-small makes people of its affinity fields: with noise of the same size in their place every
joint is still where it was, and no people are left. keypoint_rcnn-small reads joints off maps in
boxes: with the maps of another box's person they are nobody's.

python bench/poses.py [openpose-small=RUN] [keypoint_rcnn-small=RUN]   # trained runs, or both are
                                                                       # trained here
"""

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from _timing import record_goals
from torch import Tensor

import snellen as sn
from snellen.data.open import open_data

JUDGED = 200  # scenes of the validation part
SETTINGS: dict[str, dict[str, Any]] = {
    "openpose-small": {},
    "keypoint_rcnn-small": {"epochs": 4, "batch": 16},
}
LEAST = {"openpose-small": 0.5, "keypoint_rcnn-small": 0.5}


def noise_for_fields(raw: list[Tensor], task: Any) -> list[Tensor]:
    """The last stage's answer with noise in the place of its fields."""
    said, count = raw[-1].clone(), 2 * len(task.skeleton.bones)
    fields = said[:, :count]
    fields.copy_(torch.randn(fields.shape) * fields.std())
    return [said]


def maps_of_others(raw: list[Tensor], task: Any) -> list[Tensor]:
    """Each box with the maps of a box that another picture has in its place."""
    return [*raw[:-1], raw[-1].roll(1, 0)]


RUINS: dict[str, Callable[[list[Tensor], Any], list[Tensor]]] = {
    "openpose-small": noise_for_fields,
    "keypoint_rcnn-small": maps_of_others,
}


def judged(run: Any, samples: list[Any], change: Callable[..., list[Tensor]]) -> float:
    """OKS-AP of a run's answers, changed."""
    predictor = run.predictor
    task, metric = predictor.task, predictor.task.metric()
    torch.manual_seed(0)
    for low in range(0, len(samples), 20):
        some = samples[low : low + 20]
        batch = predictor.compute.ready(task, task.encode(some))
        with torch.inference_mode():
            raw = [value.float() for value in predictor.net(batch.x)]
        metric.update(task.decode(change(raw, task), batch), [sample.target for sample in some])
    return metric.compute()["mAP50-95"]


def main(words: list[str]) -> None:
    """Train or take the runs, judge them as they are and ruined, record."""
    torch.set_num_threads(1)
    given = dict(word.split("=", 1) for word in words)
    source = open_data("shapes", task="pose")
    samples = [source.val[i] for i in range(JUDGED)]
    goals, rows = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in SETTINGS.items():
            start = time.process_time()
            run = sn.load(given[name]) if name in given else sn.train(
                "shapes", task="pose", model=name, seed=0, threads=1, project=folder, quiet=True,
                **settings,
            )  # fmt: skip
            row = {"trained_minutes": None if name in given else (time.process_time() - start) / 60}
            row["as_is"] = judged(run, samples, lambda raw, task: raw)
            row["ruined"] = judged(run, samples, RUINS[name])
            rows[name] = row
            print(f"  {name:<20} {row['as_is']:.3f}, ruined {row['ruined']:.3f}", flush=True)
            goals[f"{name} on drawn people, one seed, OKS-AP"] = (
                row["as_is"],
                LEAST[name],
                "at least",
            )
            goals[f"{name}, ruined, OKS-AP"] = (row["ruined"], 0.1, "at most")
    record_goals("poses", goals, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1:])
