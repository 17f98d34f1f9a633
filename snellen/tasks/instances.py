"""Instance segmentation: a box, a class, a score and a mask for each thing. Note 003 (Mask R-CNN).

x_BCHW -> boxes as in task=detect -> a mask in each box -> pixels of the picture. Two things of one
class that touch are two things.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image, ImageColor
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UsageError
from ..data.letterbox import Letterbox
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.detector import Found
from ..nn.region_masks import paste_masks
from ..nn.two_stage import TwoStage
from ..nn.two_stage_masks import MaskedTwoStage
from ._coco import CocoScores
from ._framed import OneByOne, described, frames_of, input_hw, spread
from ._things import best_of_each, in_picture, mean_boxes, of_known_classes, shown
from .detect import Detect, with_slips
from .drawing import COLOURS, as_pixels, draw_lines
from .task import Metric, Task

SHARE = 0.45  # of a thing's colour over the picture
SIDES, STRIDES = ((12.0,), (20.0,), (34.0,)), (4, 8, 16)  # of anchors, until a network is built


class Instances(Task):
    """Boxes with classes and masks; what concerns boxes is as task=detect has it.

    spec: as of task=detect; the style is one that tells masks.
    """

    name = "instances"
    about = "a box, a class and a mask for each thing in an image"
    score = "mAP50-95"
    default_model = "mask_rcnn-small"
    rivals = False
    usual = {"augment": "flip", "samples": 12_000, "batch": 16, "lr": 3e-3, "clip": 10.0}
    ceiling = 0.9  # a mask is told on a grid of 28 x 28, and thin parts of large things are lost

    @property
    def boxes(self) -> Detect:
        """What is done with the boxes."""
        return Detect(self.spec)

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """As task=detect."""
        return with_slips(source)

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Instances":
        """As task=detect; raises DataError for data without masks."""
        if all(sample.target.masks_NHW is None for sample in spread(source.train)):
            raise DataError(
                f"{source.name} ({source.format}) has no masks of things; task=instances wants "
                "COCO annotations with outlines, or pictures of numbered things beside the "
                "pictures; for boxes task=detect"
            )
        spec = Detect.from_source(source, imgsz).spec
        usual = MaskedTwoStage(TwoStage(len(source.classes), SIDES, STRIDES))
        return cls({**spec, "style": {"name": usual.name, **usual.as_dict()}})

    def check(self, sample: Sample) -> list[Problem]:
        """What is wrong with the boxes; masks that are missing, of another size, or empty."""
        found, masks = self.boxes.check(sample), sample.target.masks_NHW
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        labels = sample.target.labels
        if masks is None or labels is None or len(masks) != len(labels):
            text = "a thing without a mask" if labels is not None and len(labels) else "no masks"
            return [*found, Problem("mask-missing", text, do="give a mask for each box", **place)]
        if tuple(masks.shape[1:]) != sample.size:
            text = f"masks of {tuple(masks.shape[1:])} pixels for a picture of {sample.size}"
            return [*found, Problem("mask-size", text, do="give masks of its size", **place)]
        empty = (~masks.flatten(1).any(1)).nonzero()[:, 0].tolist()
        do = "leave the thing out"
        return found + [Problem("mask-empty", f"mask {i} is empty", do=do, **place) for i in empty]

    def answer(self, fed: tuple[int, ...]) -> None:
        """Any: what the raw maps are is the network's."""

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network as it is; its style is noted in the spec."""
        boxes = self.boxes
        net = boxes.build(backbone)
        if boxes.spec["style"]["name"] != MaskedTwoStage.name:
            raise UsageError(
                "this network tells boxes and no masks; task=instances wants "
                f"{self.default_model} or another; `snellen models` lists them"
            )
        self.spec["style"] = boxes.spec["style"]
        return net

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """As task=detect, and the masks of each sample in the input's pixels."""
        samples = [of_known_classes(sample, len(self.boxes.classes)) for sample in samples]
        batch = self.boxes.encode(samples)
        return replace(batch, y={**batch.y, "masks": [_masks(s, input_hw(batch)) for s in samples]})

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The style's parts."""
        return self.boxes.loss(net, batch)

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """As task=detect, of what the boxes say."""
        style: Any = self.boxes.style
        found = style.first.decode([value.float() for value in out[:-2]], input_hw(batch), 0.0)
        return best_of_each(found, len(self.boxes.classes)), self.names()

    def decode(self, out: Any, batch: Batch) -> Sequence[Prediction]:
        """Raw -> the things of each image, masks in the picture's pixels."""
        raw = [value.float() for value in out]
        style = self.boxes.style
        found = style.decode(raw, input_hw(batch), style.limits[0])
        frames = frames_of(batch)
        return OneByOne(lambda i: _told(in_picture(found[i], frames[i]), frames[i]), len(frames))

    def metric(self) -> Metric:
        """COCO's table of masks."""
        boxes = self.boxes
        return CocoScores(boxes.classes, "segm", most=boxes.most)

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture with each thing in its colour; of a prediction those from score 0.3 on."""
        target = target or sample.target
        if target.boxes_N4 is None or target.labels is None or target.masks_NHW is None:
            return self.boxes.draw(sample, target)
        rows, words = shown(target, self.boxes.classes)
        tinted = _tinted(sample.image_CHW, target.masks_NHW[rows])
        return draw_lines(tinted, [], target.boxes_N4[rows], words=words)

    def oracle(self, batch: Batch) -> Any:
        """The raw answer that means the truth."""
        return self.boxes.oracle(batch)

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always the same: of each class its mean box, filled."""
        metric = self.metric()
        targets = [sample.target for sample in described(train)]
        always = mean_boxes(targets, len(self.boxes.classes))
        assert always.boxes_N4 is not None
        full = torch.ones(len(always.boxes_N4), 2, 2)
        for sample in spread(train):
            filled = paste_masks(full, always.boxes_N4, sample.size)
            metric.update([replace(always, masks_NHW=filled)], [sample.target])
        return {self.score: metric.compute()[self.score]}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn scenes, the small network, one epoch."""
        return {"data": "shapes", "model": "mask_rcnn-small", "epochs": 1, "batch": 16}


def _masks(sample: Sample, size: tuple[int, int]) -> Tensor:
    """masks_NHW of a sample in the pixels of an input."""
    masks, labels = sample.target.masks_NHW, sample.target.labels
    if masks is None or not len(masks):
        if labels is not None and len(labels):
            raise DataError(
                f"{sample.path or f'sample {sample.index}'} has boxes without masks; "
                "task=instances is trained and judged on pictures with a mask for each thing"
            )
        return torch.zeros(0, *size, dtype=torch.bool)
    frame = Letterbox(sample.size, size)
    high, wide = frame.inner
    fitted = torch.zeros(len(masks), *size, dtype=torch.bool)
    for mask, large in zip(fitted, masks, strict=True):  # one at a time: numbers take four times it
        mask[:high, :wide] = _resized(large, frame.inner)
    return fitted


def _resized(mask_HW: Tensor, size: tuple[int, int]) -> Tensor:
    if mask_HW.shape == size:
        return mask_HW
    return F.interpolate(mask_HW[None, None].to(torch.uint8), size, mode="nearest-exact")[0, 0]


def _told(found: Found, frame: Letterbox) -> Prediction:
    assert found.masks_NMM is not None
    boxes = found.boxes_N4.cpu()
    high, wide = (old / inner for old, inner in zip(frame.old, frame.inner, strict=True))
    whole = boxes * boxes.new_tensor([wide, high, wide, high])  # a mask is one of the whole box
    return Prediction(
        labels=found.labels_N.cpu(), boxes_N4=frame.back(boxes), scores_N=found.scores_N.cpu(),
        masks_NHW=paste_masks(found.masks_NMM.cpu(), whole, frame.old),
    )  # fmt: skip


def _tinted(image_CHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """A picture with the things of masks_NHW in colours, in the order of `draw_lines`."""
    tinted = as_pixels(image_CHW).float()
    tinted = tinted[:3] if len(tinted) > 1 else tinted.expand(3, -1, -1).clone()
    for i, mask_HW in enumerate(masks_NHW):
        colour = torch.tensor(ImageColor.getrgb(COLOURS[i % len(COLOURS)])).float()[:, None]
        tinted[:, mask_HW] = (1 - SHARE) * tinted[:, mask_HW] + SHARE * colour
    return tinted.to(torch.uint8)


TASKS = {"instances": Instances}
