"""Localisation: the one thing of an image, its class and its box. Note 003.

x_BCHW -> two heads: logits_BK, and a box in shares of the picture -> class and box in its pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UnknownName
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.box_head import BoxHead
from ..nn.iou import aligned_giou, aligned_iou
from ._one_thing import count_of, of_one_thing, thing_of
from ._spread import spread_rows
from .classify import Confusion
from .detect import with_slips
from .drawing import draw_lines
from .heads import end_in, full
from .task import Metric, Task

LOOKS = 500  # samples that the baseline goes by


class Localise(Task):
    """One box and its class an image; images with none or several are left out, and said.

    spec: {"classes": [...], "inputs": Inputs.as_dict(), "loss": "l1+giou"}; loss may be missing.
    A network of one's own gives (B, K + 4): logits, then x1, y1, x2, y2 in shares of W and H.
    """

    name = "localise"
    about = "the one thing of an image: its class and its box"
    score = "mIoU"
    default_model = "resnet8_w32"
    settings = ("loss",)
    usual = {"augment": "flip+zoom", "samples": 30_000, "batch": 32}

    @property
    def classes(self) -> list[str]:
        """The class names, in the order of the logits."""
        return list(self.spec["classes"])

    def num_outputs(self) -> int:
        """A logit for each class, and four edges."""
        return len(self.classes) + 4

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """Only images with one box, where that can be told without reading them."""
        source = of_one_thing(with_slips(source))
        if not len(source.train):
            raise DataError(
                f"no image of {source.name} ({source.format}) has exactly one box; "
                "task=localise wants one thing an image, task=detect finds any number"
            )
        return source

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Localise":
        """Classes from the data, the input from the training part's images."""
        if thing_of(source.train[0].target) is None and source.train[0].target.boxes_N4 is None:
            raise DataError(
                f"{source.name} ({source.format}) has no boxes; task=localise wants COCO, VOC or "
                "YOLO annotations with one box an image"
            )
        inputs = Inputs.of(source.train, imgsz)
        return cls({"classes": list(source.classes), "inputs": inputs.as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """Not one box, a box without area, a class outside the known ones."""
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        target, count = sample.target, count_of(sample.target)
        do = "it is left out of loss and scores"
        if count != 1:
            id = "box-none" if count == 0 else "box-several"
            return [Problem(id, f"{count} boxes where one is wanted", do=do, **place)]
        thing = thing_of(target)
        if thing is None:
            assert target.boxes_N4 is not None
            text = f"no box with an area: {target.boxes_N4.tolist()}"
            return [Problem("box-degenerate", text, do=do, **place)]
        if not 0 <= thing[1] < len(self.classes):
            text, do = f"class {thing[1]}", f"classes must lie in 0..{len(self.classes) - 1}"
            return [Problem("label-out-of-range", text, do=do, **place)]
        return []

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The backbone with both heads in place of its own; a module without stages as it is.

        Raises UnknownName for an unknown loss.
        """
        assert backbone is not None
        self._box_loss()
        return end_in(backbone, self.inputs(), lambda width: BoxHead(width, len(self.classes)))

    def _box_loss(self) -> Any:
        name = self.spec.get("loss", "l1+giou")
        if name not in BOX_LOSSES:
            raise UnknownName(name, BOX_LOSSES, "the losses of task=localise")
        return BOX_LOSSES[name]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW at the input size, y = {"labels": (B,), "boxes": (B, 1, 4) in its
        pixels}; label -1 and a box of zeros where a sample has not one sound box.
        """
        inputs = self.inputs()
        x = stack([inputs.fit(s.image_CHW) for s in samples])
        size = (inputs.height, inputs.width)
        things = [self._thing(s.target) for s in samples]
        boxes_B4 = torch.stack([box * _scale(s.size, size)
                                for (box, _), s in zip(things, samples, strict=True)])  # fmt: skip
        y = {"labels": torch.tensor([label for _, label in things]), "boxes": boxes_B4[:, None]}
        index = torch.tensor([s.index for s in samples])
        return Batch(x, y, index, torch.tensor([s.size for s in samples]))

    def _thing(self, target: Target) -> tuple[Tensor, int]:
        found = thing_of(target)
        if found is None or not 0 <= found[1] < len(self.classes):
            return torch.zeros(4), -1
        return found

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Cross-entropy of the class, and the box's loss over edges in shares of the picture."""
        out = full(net(batch.x))
        logits_BK, said_B4 = out[:, : len(self.classes)], out[:, len(self.classes) :]
        label_B, height, width = batch.y["labels"], *batch.x.shape[-2:]
        true_B4 = batch.y["boxes"][:, 0] / said_B4.new_tensor([width, height, width, height])
        known_B = (label_B >= 0) & (true_B4[:, 2:] > true_B4[:, :2]).all(1)
        count = known_B.sum().clamp(min=1)
        class_B = F.cross_entropy(logits_BK, label_B, ignore_index=-1, reduction="none")
        box_B = self._box_loss()(said_B4, true_B4.to(said_B4))
        return {
            "class": torch.where(known_B, class_B, 0).sum() / count,
            "box": torch.where(known_B, box_B, 0).sum() / count,
        }

    def evidence(self, out: Tensor, batch: Batch) -> tuple[Tensor, list[str]]:
        """The logits of the classes, without the edges of the box."""
        return out[:, : len(self.classes)], self.names()

    def decode(self, out: Tensor, batch: Batch) -> list[Prediction]:
        """(B, K + 4) -> class with its probabilities, and the box in pixels of the original."""
        out = out.detach().float().cpu()
        scores_BK, box_B4 = out[:, : len(self.classes)].softmax(1), out[:, len(self.classes) :]
        sizes_B4 = batch.sizes_B2.cpu().flip(1).repeat(1, 2)
        box_B4 = box_B4.nan_to_num(0.0).clamp(0, 1) * sizes_B4
        top_B, label_B = scores_BK.max(1)
        return [
            Prediction(label=int(label), score=float(top), scores_K=scores_K,
                       labels=label[None], boxes_N4=box[None], scores_N=top[None])
            for label, top, scores_K, box in zip(label_B, top_B, scores_BK, box_B4, strict=True)
        ]  # fmt: skip

    def metric(self) -> "BoxScores":
        """Mean IoU, accuracy, and both at once."""
        return BoxScores(len(self.classes))

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture with the box on it and the class below."""
        target = target or sample.target
        found = thing_of(target)
        if found is None:
            return draw_lines(sample.image_CHW, ["?"])
        score = getattr(target, "score", None)
        words = self.classes[found[1]] + ("" if score is None else f" {score:.2f}")
        return draw_lines(sample.image_CHW, [words], found[0][None])

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are sure of the truth, and its edges."""
        height, width = batch.x.shape[-2:]
        boxes_B4 = batch.y["boxes"][:, 0]
        edges_B4 = boxes_B4 / boxes_B4.new_tensor([width, height, width, height])
        sure_BK = 20.0 * F.one_hot(batch.y["labels"].clamp(min=0), len(self.classes))
        return torch.cat([sure_BK.to(edges_B4), edges_B4], 1)

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always the mean box, in shares of the picture, and the most frequent class."""
        samples = (train[i] for i in spread_rows(len(train), LOOKS))
        things = [(thing, s.size) for s in samples if (thing := thing_of(s.target))]
        if not things:
            return {"mIoU": 0.0, "accuracy": 0.0}
        shares_N4 = torch.stack([box * _scale(size, (1, 1)) for (box, _), size in things])
        mean_4 = shares_N4.mean(0)
        labels = torch.tensor([label for (_, label), _ in things])
        iou_N = aligned_iou(mean_4.expand_as(shares_N4), shares_N4)
        frequent = torch.bincount(labels.clamp(min=0)).max() / len(labels)
        return {"mIoU": float(iou_N.mean()), "accuracy": float(frequent)}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Generated scenes of one thing at half their size, a few seconds an epoch."""
        return {"data": "shapes", "task": cls.name, "model": "resnet8_w32", "imgsz": 48,
                "epochs": 4}  # fmt: skip


class BoxScores(Metric):
    """The mean IoU of the boxes, the share of right classes, and of those with IoU of 0.5 too.

    >>> scores, box = BoxScores(2), torch.tensor([[0.0, 0, 4, 4]])
    >>> said = Prediction(label=1, boxes_N4=torch.tensor([[0.0, 0, 4, 2]]))
    >>> scores.update([said], [Target(labels=torch.tensor([1]), boxes_N4=box)])
    >>> scores.compute()["mIoU"]
    0.5
    """

    def __init__(self, num_classes: int) -> None:
        self.classes = Confusion(num_classes)
        self.counts_KK = self.classes.counts_KK
        self.iou, self.found, self.seen = 0.0, 0, 0

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch; images without one sound box are left out."""
        for said, target in zip(predictions, targets, strict=True):
            thing = thing_of(target)
            if thing is None:
                continue
            box = torch.zeros(1, 4) if said.boxes_N4 is None else said.boxes_N4[:1]
            iou = float(aligned_iou(box.double(), thing[0][None].double()))
            self.iou += iou
            self.found += iou >= 0.5 and said.label == thing[1]
            self.seen += 1
            self.classes.update([said], [Target(label=thing[1])])

    def compute(self) -> dict[str, float]:
        """mIoU, accuracy, and found50: the class is right and the IoU at least 0.5 (ILSVRC)."""
        count = max(self.seen, 1)
        accuracy = self.classes.compute()["accuracy"]
        return {"mIoU": self.iou / count, "accuracy": accuracy, "found50": self.found / count}


def _scale(size: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """H, W of an image and of the input -> what its x1, y1, x2, y2 are multiplied by."""
    down, right = wanted[0] / size[0], wanted[1] / size[1]
    return torch.tensor([right, down, right, down])


def _l1(said_B4: Tensor, true_B4: Tensor) -> Tensor:
    return (said_B4 - true_B4).abs().sum(1)


def _giou(said_B4: Tensor, true_B4: Tensor) -> Tensor:
    return 1 - aligned_giou(said_B4, true_B4)


def _smooth_l1(said_B4: Tensor, true_B4: Tensor) -> Tensor:
    return 5 * F.smooth_l1_loss(said_B4, true_B4, beta=0.05, reduction="none").sum(1)


def _both(said_B4: Tensor, true_B4: Tensor) -> Tensor:
    return 5 * _l1(said_B4, true_B4) + 2 * _giou(said_B4, true_B4)


BOX_LOSSES = {  # said_B4, true_B4 in shares of the picture -> loss_B
    "l1+giou": _both,  # as in DETR, arXiv:2005.12872
    "giou": _giou,
    "l1": _l1,
    "smooth-l1": _smooth_l1,
}

TASKS = {"localise": Localise}
