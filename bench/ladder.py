"""From R-CNN to Faster R-CNN on drawn scenes: seconds a picture, and what the judges score.

The first three read the same regions (selective search) with the same body, trained to tell shapes
apart: R-CNN warps every region and runs the body on each; SPP-net runs it once a picture and pools
each region in a pyramid. Both have SVMs and box regressions, fitted to 200 scenes. Fast R-CNN pools
one level: once with such SVMs, body at rest, and once as it is meant, body, classes and boxes
learned at once on the same scenes. Faster R-CNN proposes for itself: of faster_rcnn-small only the
time is told here.

python bench/ladder.py     # writes docs/ladder.svg and bench/results/ladder.json
"""

import copy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snellen as sn
from snellen.data.open import open_data
from snellen.data.sample import Prediction, Sample
from snellen.data.selective_search import search_regions
from snellen.nn.detector import Found, Truth
from snellen.nn.fast_rcnn import FastRcnn, judged_things, region_loss, sample_regions
from snellen.nn.nms import non_maximum_suppression
from snellen.nn.region_features import pool_regions, warp_regions
from snellen.nn.region_judge import Judge, fit_judge, match_classes
from snellen.tasks._coco import CocoScores
from snellen.tasks.detect import Detect

FITTED, JUDGED, SIDE, STRIDE, BINS, LEAST = 200, 60, 32, 4, 3, 0.3
EPOCHS, IMAGES, LEARNED, RATE = (
    6,
    2,
    64,
    1e-3,
)  # of Fast R-CNN: two pictures a step, as in the paper
PICTURE = Path(__file__).parent.parent / "docs" / "ladder.svg"
Look = Callable[[Tensor, Tensor], Tensor]  # picture (1, C, H, W), regions (P, 4) -> (P, D)


def ways(run: Any) -> dict[str, Look]:
    """How each of the three sees the regions of a picture, with one trained body."""
    predictor = run.predictor
    net, prepare = predictor.net.eval(), predictor.task.inputs().prepare

    def body(x: Tensor) -> Tensor:
        return list(net.features(prepare(x)).values())[-1]

    def crops(x: Tensor, boxes: Tensor) -> Tensor:
        maps = body(warp_regions(x.float(), boxes[None], SIDE).to(torch.uint8))
        return F.adaptive_max_pool2d(maps, BINS).flatten(1)

    def pyramid(x: Tensor, boxes: Tensor) -> Tensor:
        return pool_regions(body(x), boxes[None], (BINS, 1), stride=STRIDE)[0]

    def pooled(x: Tensor, boxes: Tensor) -> Tensor:
        return pool_regions(body(x), boxes[None], (BINS,), stride=STRIDE)[0]

    return {"R-CNN": crops, "SPP-net": pyramid, "one level, at rest": pooled}


def fit(look: Look, samples: list[Sample], regions: list[Tensor], classes: int) -> Judge:
    """Features of all regions of the samples -> the judge."""
    features, matches = [], []
    for sample, found in zip(samples, regions, strict=True):
        true, labels = sample.target.boxes_N4, sample.target.labels
        if true is None or labels is None or not len(true):
            continue
        boxes = torch.cat([found, true])
        features.append(look(sample.image_CHW[None], boxes))
        matches.append((boxes, *match_classes(boxes, Truth(true, labels), classes=classes)))
    boxes, overlap, wanted = (torch.cat(part) for part in zip(*matches, strict=True))
    return fit_judge(torch.cat(features), boxes, (overlap, wanted), classes=classes)


def judge(
    look: Look, judges: Judge, samples: list[Sample], regions: list[Tensor], names: list[str]
) -> tuple[float, float]:
    """(mAP50 on the samples, seconds a picture without the search of regions)."""

    def find(sample: Sample, boxes: Tensor) -> Found:
        return judges.find(look(sample.image_CHW[None], boxes), boxes, sample.size, least=LEAST)

    return score(find, samples, regions, names)


def score(
    find: Callable[[Sample, Tensor], Found],
    samples: list[Sample],
    regions: list[Tensor],
    names: list[str],
) -> tuple[float, float]:
    """What finds things among the regions of a sample -> (mAP50, seconds a picture)."""
    metric, seconds = CocoScores(names), 0.0
    for sample, boxes in zip(samples, regions, strict=True):
        start = time.process_time()
        found = find(sample, boxes)
        rows = non_maximum_suppression(found.boxes_N4, found.scores_N, 0.3, labels_N=found.labels_N)
        seconds += time.process_time() - start
        said = Prediction(labels=found.labels_N[rows], boxes_N4=found.boxes_N4[rows],
                          scores_N=found.scores_N[rows])  # fmt: skip
        metric.update([said], [sample.target])
    return metric.compute()["mAP50"], seconds / len(samples)


class LastMap(nn.Module):
    """Bytes (B, C, H, W) -> the last map of a run's network."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.net = copy.deepcopy(run.predictor.net)
        self.prepare = run.predictor.task.inputs().prepare

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> the map."""
        return list(self.net.features(self.prepare(x)).values())[-1]


def learn_together(
    run: Any, samples: list[Sample], regions: list[Tensor], classes: int
) -> FastRcnn:
    """Fast R-CNN on the run's body, all of it trained on the samples with their regions."""
    torch.manual_seed(0)
    body = LastMap(run)
    width = body(samples[0].image_CHW[None]).shape[1]
    net = FastRcnn(body, width, STRIDE, classes=classes).train()
    learned = [p for name, p in net.named_parameters() if "body.net.head" not in name]
    solver = torch.optim.AdamW(learned, lr=RATE)
    steps = EPOCHS * (len(samples) // IMAGES)
    fade = torch.optim.lr_scheduler.OneCycleLR(solver, RATE, steps, pct_start=0.1)
    for step in range(steps):
        if step % (len(samples) // IMAGES) == 0:
            order = torch.randperm(len(samples)).tolist()
        rows = [order.pop() for _ in range(IMAGES)]
        x = torch.stack([samples[i].image_CHW for i in rows])
        truths = [truth_of(samples[i]) for i in rows]
        given = torch.nn.utils.rnn.pad_sequence([regions[i] for i in rows], batch_first=True)
        drawn = sample_regions(given, truths, LEARNED)
        solver.zero_grad()
        torch.stack(list(region_loss(net(x, drawn), truths).values())).sum().backward()
        solver.step()
        fade.step()
    return net.eval()


def truth_of(sample: Sample) -> Truth:
    """What a sample's regions are compared with."""
    boxes, labels = sample.target.boxes_N4, sample.target.labels
    assert boxes is not None
    assert labels is not None
    return Truth(boxes, labels)


def judge_together(
    net: FastRcnn, samples: list[Sample], regions: list[Tensor], names: list[str]
) -> tuple[float, float]:
    """(mAP50 on the samples, seconds a picture without the search of regions)."""

    def find(sample: Sample, boxes: Tensor) -> Found:
        return judged_things(net(sample.image_CHW[None], boxes[None]), sample.size, LEAST / 6)[0]

    return score(find, samples, regions, names)


def faster(source: Any, samples: list[Sample]) -> float:
    """Seconds a picture of Faster R-CNN, one at a time as the others."""
    task = Detect.from_source(source)
    net = task.build(sn.model("faster_rcnn-small", classes=len(source.classes))).eval()
    start = time.process_time()
    for sample in samples:
        batch = task.encode([sample])
        task.decode(net(task.inputs().prepare(batch.x)), batch)
    return (time.process_time() - start) / len(samples)


def draw(seconds: dict[str, float], search: float) -> None:
    """Bars of seconds a picture, the search of regions apart."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "snellen"
    figure, axis = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    names = list(seconds)[::-1]
    before = [0.0 if name == "Faster R-CNN" else 1000 * search for name in names]
    own = [1000 * seconds[name] for name in names]
    axis.barh(names, before, color="#c9ced6", label="selective search")
    axis.barh(names, own, left=before, color="#2b6ca3", label="network and judges")
    for row, (a, b) in enumerate(zip(before, own, strict=True)):
        axis.text(a + b, row, f"  {a + b:.0f} ms", va="center")
    axis.set(xlabel="milliseconds a picture of 96 x 96, one core",
             xlim=(0, 1.15 * max(map(sum, zip(before, own, strict=True)))))  # fmt: skip
    axis.legend(frameon=False, loc="lower right")
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Train the body, fit, judge, draw, record."""
    from _timing import record_goals

    torch.set_num_threads(1)
    source = open_data("shapes", task="detect")
    fitted, judged = ([part[i] for i in range(n)]
                      for part, n in ((source.train, FITTED), (source.val, JUDGED)))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        with torch.enable_grad():
            run = sn.train("shapes", task="classify", model="resnet8_w32", epochs=4, threads=1,
                           quiet=True, project=folder, doctor=False)  # fmt: skip
        learned = [search_regions(sample.image_CHW) for sample in fitted]
        start = time.process_time()
        regions = [search_regions(sample.image_CHW) for sample in judged]
        search = (time.process_time() - start) / len(judged)
        scores, seconds = {}, {}
        for name, look in ways(run).items():
            judges = fit(look, fitted, learned, len(source.classes))
            found = judge(look, judges, judged, regions, list(source.classes))
            scores[name], seconds[name] = found
            print(f"  {name:<18} {1000 * found[1]:6.1f} ms, mAP50 {found[0]:.3f}", flush=True)
        with torch.enable_grad():
            net = learn_together(run, fitted, learned, len(source.classes))
        name = "Fast R-CNN"
        scores[name], seconds[name] = judge_together(net, judged, regions, list(source.classes))
        print(f"  {name:<18} {1000 * seconds[name]:6.1f} ms, mAP50 {scores[name]:.3f}", flush=True)
        seconds["Faster R-CNN"] = faster(source, judged)
    print(f"  search {1000 * search:.0f} ms; Faster R-CNN {1000 * seconds['Faster R-CNN']:.1f} ms")
    draw(seconds, search)
    slower = seconds["R-CNN"] / seconds["Fast R-CNN"]
    record_goals(
        "ladder",
        {
            "R-CNN on drawn scenes, mAP50": (scores["R-CNN"], 0.3, "at least"),
            "Fast R-CNN on drawn scenes, body, class and box learned at once, mAP50": (
                scores["Fast R-CNN"], scores["R-CNN"], "at least"),
            "R-CNN's time over Fast R-CNN's, regions given": (slower, 5.0, "at least"),
            "Fast R-CNN's time with its search over Faster R-CNN's": (
                (seconds["Fast R-CNN"] + search) / seconds["Faster R-CNN"], 2.0, "at least"),
        },
        scores=scores, seconds=seconds, search=search,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
