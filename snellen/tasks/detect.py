"""Detection: a box, a class and a score for each thing. Notes 001 and 003.

x_BCHW -> raw maps -> candidates -> non-maximum suppression -> boxes in pixels of the picture.
What the maps mean is said by a style (`sn.nn.YoloV3` ...) that the network names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..data.audit.box_classes import counted_from_one
from ..data.boxes import unwound
from ..data.extent import extents
from ..data.inputs import Inputs
from ..data.letterbox import Letterbox
from ..data.placing import misplaced
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.box_code import clip_boxes
from ..nn.detector import Found, Style, Truth
from ..nn.nms import non_maximum_suppression
from ..nn.yolo_v3 import YoloV3
from ._coco import CocoScores
from ._framed import box_anchors, common_size, described, framed, frames_of, input_hw
from ._spread import targets_of
from ._things import (
    best_of_each,
    in_picture,
    make_room,
    mean_boxes,
    most_told,
    of_known_classes,
    shown,
)
from .drawing import draw_lines
from .task import Metric, Task

LIMIT, MULTIPLE = 320, 32  # of the input's sides, in pixels
MOST = 100  # boxes that are said of an image, as COCO counts; more where the data has more
EACH = 10  # compete in an image, of each that is said: an untrained network has one in each slot


class Detect(Task):
    """Boxes with classes.

    spec: {"classes": [...], "inputs": Inputs.as_dict(), "anchors": {"9": [[w, h], ...], ...},
    "style": {"name": ..., ...}, "most": boxes that are said of an image and counted}; the style is
    the usual network's until one is built.
    """

    name = "detect"
    about = "a box, a class and a score for each thing in an image"
    score = "mAP50-95"
    default_model = "yolov3-small"
    rivals = False
    trains = ("detect", "instances")  # of the latter no masks are asked
    usual = {"augment": "flip", "augment_often": "flip+affine", "samples": 30_000, "batch": 32,
             "lr": 3e-3, "clip": 10.0}  # fmt: skip
    ceiling = 0.97  # things of a class that overlap by more than the style allows are told as one

    @property
    def classes(self) -> list[str]:
        """The class names."""
        return list(self.spec["classes"])

    @property
    def style(self) -> Style:
        """What the network's raw maps mean."""
        facts = dict(self.spec["style"])
        kind: type[Style] = registry.get("snellen.nn", "STYLES", facts.pop("name"))
        return kind(**facts)

    @property
    def most(self) -> int:
        """How many things of an image are said at most, and counted."""
        return int(self.spec.get("most", MOST))

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """All of it; what its boxes as a whole say of a slip in the annotations is added."""
        return with_slips(source)

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Detect":
        """Classes from the data, the input from the pictures' size, anchors from the boxes."""
        looked = described(source.train)
        if all(sample.target.boxes_N4 is None for sample in looked):
            raise DataError(f"{_without(source)}; for one class an image task=classify")
        looked = _looked(looked, source)
        sizes = [sample.size for sample in looked]
        size = common_size(sizes, imgsz, limit=LIMIT, multiple=MULTIPLE)
        inputs = replace(Inputs.of(source.train, max(size)), height=size[0], width=size[1])
        anchors = _anchors(looked, size)
        nine = anchors["9"]
        everywhere = targets_of(source.train, looked)
        usual = YoloV3(len(source.classes), [nine[:3], nine[3:6], nine[6:]], [4, 8, 16])
        return cls(
            {
                "classes": list(source.classes),
                "inputs": inputs.as_dict(),
                "anchors": anchors,
                "style": {"name": usual.name, **usual.as_dict()},
                "most": most_told(everywhere, len(source.classes), MOST),
            }
        )

    def aligned(self, part: SampleSet, source: Source) -> SampleSet:
        """As every task's by the classes; raises DataError for data without boxes."""
        if len(part) and (part.target(0) or part[0].target).boxes_N4 is None:
            raise DataError(_without(source))
        return super().aligned(part, source)

    def check(self, sample: Sample) -> list[Problem]:
        """A class outside the known ones, or a box that has no area or is not finite."""
        target, found = sample.target, []
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        if target.boxes_N4 is None or target.labels is None:
            text = "no boxes; an image without objects has an empty list of them"
            return [Problem("box-missing", text, do="give boxes and labels", **place)]
        for i, (box, label) in enumerate(zip(target.boxes_N4, target.labels, strict=True)):
            said = [round(v, 2) for v in box.tolist()]
            if not 0 <= int(label) < len(self.classes):
                text = (
                    f"box {i} has class {int(label)}, outside 0..{len(self.classes) - 1}: left out"
                )
                do = "number the classes from 0, in the order of their names"
                found.append(Problem("label-out-of-range", text, do=do, **place))
            if not bool((box[2:] > box[:2]).all()):  # false for NaN as well
                text = f"box {i} is {said}: x1 y1 x2 y2 without an area"
                found.append(Problem("box-degenerate", text, do="left out of the loss", **place))
        return found

    def answer(self, fed: tuple[int, ...]) -> None:
        """Any: what the raw maps are is the network's."""

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network as it is, with room for as many things as the data have; its style, with the
        data's anchors, is noted in the spec.
        """
        kind = getattr(getattr(backbone, "head", None), "style", None)
        if backbone is None or kind is None:
            have = getattr(backbone, "name", "") or type(backbone).__name__
            raise UsageError(f"{have} is no detector; task=detect wants one, {self.default_model} "
                             "for example; `snellen models` lists them")  # fmt: skip
        make_room(backbone, self.most, MOST)
        self.spec["style"] = kind(len(self.classes), self.spec["anchors"])
        return backbone

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW padded to the input; boxes in its pixels, a list of tensors a batch."""
        samples = [of_known_classes(sample, len(self.classes)) for sample in samples]
        frames, x = framed(samples, self.inputs())
        truths = [_truth(s, f) for f, s in zip(frames, samples, strict=True)]
        y = {
            "boxes": [t.boxes_N4 for t in truths],
            "labels": [t.labels_N for t in truths],
            "ignored": [_ignored(t) for t in truths],
        }
        index = torch.tensor([s.index for s in samples])
        sizes_B2 = torch.tensor([s.size for s in samples])
        return Batch(x, y, index, sizes_B2, extent_B4=extents(frames))

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The style's parts."""
        style, truths = self.style, _truths(batch)
        raw = net(batch.x, truths) if style.told and net.training else net(batch.x)
        return style.loss(raw, truths, input_hw(batch))

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """For each class the log-odds of the best of its things."""
        found = self.style.decode(_floats(out), input_hw(batch), 0.0)
        return best_of_each(found, len(self.classes)), self.names()

    def decode(self, out: Any, batch: Batch) -> list[Prediction]:
        """Raw maps -> the best boxes of each image, class by class without doubles."""
        least, overlap = self.style.limits
        found = self.style.decode(_floats(out), input_hw(batch), least)
        pairs = zip(found, frames_of(batch), strict=True)
        return [self._told(in_picture(one, frame), frame, overlap) for one, frame in pairs]

    def _told(self, found: Found, frame: Letterbox, overlap: float) -> Prediction:
        best = found.scores_N.topk(min(EACH * self.most, len(found.scores_N))).indices
        boxes, scores, labels = (
            value[best].cpu() for value in (found.boxes_N4, found.scores_N, found.labels_N)
        )
        boxes = clip_boxes(boxes, frame.inner)
        rows = non_maximum_suppression(boxes, scores, overlap, labels_N=labels)[: self.most]
        boxes, scores, labels = frame.back(boxes[rows]), scores[rows], labels[rows]
        return Prediction(labels=labels, boxes_N4=boxes, scores_N=scores)

    def metric(self) -> Metric:
        """COCO's table."""
        return CocoScores(self.classes, most=self.most)

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture with boxes and names; of a prediction those that score 0.3 or more."""
        target = target or sample.target
        if target.boxes_N4 is None or target.labels is None:
            return draw_lines(sample.image_CHW, [])
        rows, words = shown(target, self.classes)
        kinds = target.labels[rows].tolist()
        return draw_lines(sample.image_CHW, [], target.boxes_N4[rows], words=words, kinds=kinds)

    def oracle(self, batch: Batch) -> Any:
        """The raw maps that mean the truth."""
        return self.style.oracle(_truths(batch), input_hw(batch))

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always the same boxes: for each class its mean box, in every image."""
        looked = [sample.target for sample in described(train)]
        metric = self.metric()
        metric.update([mean_boxes(looked, len(self.classes))] * len(looked), looked)
        return {type(self).score: metric.compute()[type(self).score]}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn scenes, the small network, two epochs."""
        return {"data": "shapes", "model": "yolov3-small", "epochs": 2, "batch": 32}


def _floats(out: Any) -> Any:
    return [m.float() for m in out] if isinstance(out, list | tuple) else out.float()


def _truths(batch: Batch) -> list[Truth]:
    names = ("boxes", "labels", "ignored", *(["masks"] if "masks" in batch.y else []))
    return [Truth(*row) for row in zip(*(batch.y[name] for name in names), strict=True)]


def _looked(samples: Sequence[Sample], source: Source) -> list[Sample]:
    """Samples without things of unknown classes. Raises DataError where no thing is left."""
    said = [s.target.labels for s in samples if s.target.labels is not None]
    known = [of_known_classes(sample, len(source.classes)) for sample in samples]
    left = sum(len(s.target.labels) for s in known if s.target.labels is not None)
    labels = torch.cat(said) if said else torch.zeros(0)
    if len(labels) and not left:
        raise DataError(
            f"no box of {source.name} has a class in 0..{len(source.classes) - 1}: they have "
            f"{int(labels.min())}..{int(labels.max())}; number the classes from 0, in the order "
            "of their names"
        )
    if not left and not any(_has_things(source.train, i) for i in range(len(source.train))):
        raise DataError(
            f"not one box is in train of {source.name}; nothing can be learned; `snellen check` "
            "names the labels that could not be used"
        )
    return known


def with_slips(source: Source) -> Source:
    """A source with what is wrong with all boxes of train: labels from 1, a shift, axes exchanged.

    Files alone are looked at; drawn data and a user's own objects are as they are.
    """
    parts = [part for part in (source.train, source.val, source.test) if part is not None]
    if unwound(source.train) is None:
        return source
    said = {problem.id for problem in source.problems}
    found = [*counted_from_one(parts, source.classes), *misplaced(source.train)]
    new = tuple(problem for problem in found if problem.id not in said)
    return replace(source, problems=(*source.problems, *new))


def _without(source: Source) -> str:
    return (f"{source.name} ({source.format}) has no boxes; task=detect wants COCO, VOC or "
            "YOLO annotations beside the pictures, or a Dataset of sn.Sample")  # fmt: skip


def _has_things(part: SampleSet, i: int) -> bool:
    target = part.target(i) or part[i].target
    return target.labels is not None and len(target.labels) > 0


def _truth(sample: Sample, frame: Letterbox) -> Truth:
    target = sample.target
    if target.boxes_N4 is None or target.labels is None:
        if target.given():  # a picture of which nothing is known is one to be predicted on
            raise DataError(
                f"{sample.path or f'sample {sample.index}'} has no boxes; a detector is trained "
                "and judged on pictures with boxes"
            )
        return Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    boxes_N4 = clip_boxes(frame.there(target.boxes_N4), frame.inner)
    return Truth(boxes_N4, target.labels, target.ignored_N)


def _ignored(truth: Truth) -> Tensor:
    none = torch.zeros(len(truth.labels_N), dtype=torch.bool)
    return none if truth.ignored_N is None else truth.ignored_N


def _anchors(looked: Sequence[Sample], size: tuple[int, int]) -> dict[str, list[list[float]]]:
    """Widths and heights that suit the boxes, in the input's pixels."""
    sizes = [torch.zeros(0, 2)]
    for sample in looked:
        truth = _truth(sample, Letterbox(sample.size, size)).sound()
        sizes.append(truth.boxes_N4[:, 2:] - truth.boxes_N4[:, :2])
    return box_anchors(torch.cat(sizes))


TASKS = {"detect": Detect}
