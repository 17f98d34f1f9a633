"""COCO's scores, counted by pycocotools: mean average precision of boxes, masks or key points."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.sample import Prediction, Target
from .coco_results import coco_results, flat_joints, run_lengths, xywh
from .task import Metric

NAMES = {  # of COCOeval.stats, by what is compared
    "bbox": (
        "mAP50-95", "mAP50", "mAP75", "mAP-small", "mAP-medium", "mAP-large",
        "mAR1", "mAR10", "mAR100", "mAR-small", "mAR-medium", "mAR-large",
    ),
    "keypoints": (
        "mAP50-95", "mAP50", "mAP75", "mAP-medium", "mAP-large",
        "mAR20", "mAR20-50", "mAR20-75", "mAR20-medium", "mAR20-large",
    ),
}  # fmt: skip
NAMES["segm"] = NAMES["bbox"]
USUAL = {"bbox": 100, "segm": 100, "keypoints": 20}  # things an image that COCO counts


class CocoScores(Metric):
    """Predictions against targets as COCO counts them; `table` is COCO's own words.

    Of an image the best `most` are counted, COCO's own 100 things or 20 people where 0; recalls are
    called by that number.

    >>> box = torch.tensor([[0.0, 0, 8, 8]])
    >>> m = CocoScores(["cell"])
    >>> found = Prediction(labels=torch.tensor([0]), boxes_N4=box, scores_N=torch.tensor([0.9]))
    >>> m.update([found], [Target(labels=torch.tensor([0]), boxes_N4=box)])
    >>> m.compute()["mAP50-95"]
    1.0
    """

    def __init__(
        self,
        classes: Sequence[str],
        kind: str = "bbox",
        sigmas: Sequence[float] = (),
        *,
        most: int = 0,
    ) -> None:
        self.classes, self.kind, self.sigmas = list(classes), kind, list(sigmas)
        self.most = most or USUAL[kind]
        self.truths: list[dict[str, Any]] = []
        self.found: list[dict[str, Any]] = []
        self.images = 0
        self.table = ""

    @property
    def has_truths(self) -> bool:
        """Whether there is a thing that can be missed: no crowd, and for key points one seen."""
        return any(not t["iscrowd"] and t.get("num_keypoints", 1) for t in self.truths)

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """Take in a batch; crowds and difficult objects are neither to be found nor missed."""
        for prediction, target in zip(predictions, targets, strict=True):
            self.images += 1
            self.truths += self._truths(target)
            every = range(len(self.classes))
            self.found += coco_results(prediction, self.images, every, kind=self.kind)

    def compute(self) -> dict[str, float]:
        """The scores that exist: a size without objects has none. Without any object, 0."""
        zero = {"mAP50-95": 0.0, "mAP50": 0.0, "mAP75": 0.0}
        if not self.has_truths:
            return zero
        evaluation = self._evaluate()
        usual, most = f"mAR{USUAL[self.kind]}", f"mAR{self.most}"
        names = [name.replace(usual, most) for name in NAMES[self.kind]]
        scores = dict(zip(names, evaluation.stats.tolist(), strict=True))
        precision = evaluation.eval["precision"][:, :, :, 0, -1]  # IoU, recall, class
        for k, name in enumerate(self.classes):
            valid = precision[:, :, k][precision[:, :, k] > -1]
            if len(valid) and len(self.classes) > 1:
                scores[f"mAP50-95/{name}"] = float(valid.mean())
        return zero | {name: round(float(v), 12) for name, v in scores.items() if v >= 0}

    def _evaluate(self) -> Any:
        import pycocotools.coco
        import pycocotools.cocoeval
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with _hearing(pycocotools.coco, pycocotools.cocoeval) as said:
            truth = COCO()
            truth.dataset = {
                "images": [  # pycocotools asks for sizes, which run lengths hold themselves
                    {"id": i, "height": 0, "width": 0} for i in range(1, self.images + 1)
                ],
                "annotations": [{**t, "id": i} for i, t in enumerate(self.truths, 1)],
                "categories": [{"id": k, "name": name} for k, name in enumerate(self.classes)],
            }
            truth.createIndex()
            answer = truth.loadRes([{**one} for one in self.found]) if self.found else COCO()
            if not self.found:
                answer.dataset = {**truth.dataset, "annotations": []}
                answer.createIndex()
            evaluation = COCOeval(truth, answer, self.kind)
            if self.kind == "keypoints":
                evaluation.params.kpt_oks_sigmas = np.array(self.sigmas)
            usual = evaluation.params.maxDets
            evaluation.params.maxDets = [*usual[:-1], self.most]
            evaluation.evaluate()
            evaluation.accumulate()
            said.clear()
            evaluation.params.maxDets = usual  # a summary looks for its usual numbers alone
            evaluation.summarize()
        told = "".join(said)
        self.table = told.replace(f"maxDets={usual[-1]:>3} ]", f"maxDets={self.most:>3} ]")
        return evaluation

    def _truths(self, target: Target) -> list[dict[str, Any]]:
        assert target.boxes_N4 is not None
        assert target.labels is not None
        boxes = xywh(target.boxes_N4)
        ignored = target.ignored_N if target.ignored_N is not None else np.zeros(len(boxes), bool)
        areas = _areas(target, target.masks_NHW if self.kind != "bbox" else None)
        truths = [
            {
                "image_id": self.images,
                "category_id": int(label),
                "bbox": box,
                "area": area,
                "iscrowd": int(crowd),
            }
            for box, area, label, crowd in zip(boxes, areas, target.labels, ignored, strict=True)
        ]
        if self.kind == "bbox":
            return truths
        more = self._joints(target) if self.kind == "keypoints" else _outlines(target)
        return [t | one for t, one in zip(truths, more, strict=True)]

    def _joints(self, target: Target) -> list[dict[str, Any]]:
        """COCO's fields of key points; of things without any where nobody labelled them."""
        count = 0 if target.boxes_N4 is None else len(target.boxes_N4)
        points, seen = target.keypoints_NK2, target.visibility_NK
        if points is None or seen is None:
            points = torch.zeros(count, len(self.sigmas), 2)
            seen = torch.zeros(count, len(self.sigmas))
        labelled = (seen > 0).sum(1).tolist()
        rows = zip(flat_joints(points, seen), labelled, strict=True)
        return [{"keypoints": row, "num_keypoints": num} for row, num in rows]


_heard: ContextVar[list[str] | None] = ContextVar("what pycocotools says", default=None)


@contextmanager
def _hearing(*modules: ModuleType) -> Iterator[list[str]]:
    """What modules print in this thread, in place of standard output, which is everyone's."""

    def tell(*words: Any, **how: Any) -> None:
        lines = _heard.get()
        if lines is None:
            print(*words, **how)
        else:
            lines.append(" ".join(map(str, words)) + "\n")

    for module in modules:
        module.print = tell  # type: ignore[attr-defined]
    said: list[str] = []
    before = _heard.set(said)
    try:
        yield said
    finally:
        _heard.reset(before)


def _areas(target: Target, masks_NHW: Tensor | None) -> list[float]:
    """COCO's area of each thing: what the data say, else that of its mask, else of its box."""
    assert target.boxes_N4 is not None
    boxes = xywh(target.boxes_N4)
    own = [w * h for _, _, w, h in boxes]
    if masks_NHW is not None:
        own = masks_NHW.flatten(1).sum(1).tolist()
    if target.areas_N is None:
        return own
    said = target.areas_N.double().tolist()
    return [a if math.isnan(b) else b for a, b in zip(own, said, strict=True)]


def _outlines(target: Target) -> list[dict[str, Any]]:
    """COCO's fields of masks; empty ones where the target has none."""
    assert target.labels is not None
    masks_NHW = target.masks_NHW
    if masks_NHW is None:
        masks_NHW = torch.zeros(len(target.labels), 1, 1, dtype=torch.bool)
    return [{"segmentation": runs} for runs in run_lengths(masks_NHW)]
