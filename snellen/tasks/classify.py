"""Classification: one class an image. x_BCHW -> logits_BK -> the likeliest class.

Notes 001 and 003; softmax cross-entropy with optional label smoothing, or another loss by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import registry
from ..core.errors import DataError, UnknownName, UsageError
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.losses import Loss, fit_head
from ._pooling import mean_of_shares
from .drawing import draw_label
from .task import Metric, Task


class Classify(Task):
    """One label an image.

    spec: {"classes": [...], "inputs": Inputs.as_dict(), "label_smoothing": 0.0,
    "loss": "cross-entropy"}; the last two may be missing.
    """

    name = "classify"
    about = "one class an image"
    score = "accuracy"
    default_model = "resnet18"
    settings = ("loss", "label_smoothing")
    squashes = True

    @property
    def classes(self) -> list[str]:
        """The class names, in the order of the logits."""
        return list(self.spec["classes"])

    def usual_model(self) -> str:
        """LeNet up to 16 pixels, a CIFAR ResNet up to 64, ResNet-18 above."""
        inputs = self.inputs()
        side = max(inputs.height, inputs.width)
        return (
            "lenet5_bn" if side <= 16 else "resnet20_cifar_A" if side <= 64 else self.default_model
        )

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Classify":
        """Classes from the data, the input from the training part's images."""
        if not source.classes and (source.attributes or source.values):
            raise DataError(
                f"{source.name} has no label column but columns of numbers; task=tag learns those "
                "of 0 and 1, task=regress the others"
            )
        if not source.classes:
            raise DataError(
                f"{source.name} has no labels; classification wants a folder a class, "
                "a label column or an array y"
            )
        if _has_boxes(source.train):
            raise DataError(
                f"{source.name} ({source.format}) has boxes and no class for a whole image; "
                "task=detect learns boxes; "
                "for task=classify give a folder of pictures for each class"
            )
        if len(source.classes) < 2:
            raise DataError(
                f"{source.name} has one class, {source.classes[0]!r}; "
                "telling classes apart needs two or more: add a folder (or a label) for another"
            )
        inputs = Inputs.of(source.train, imgsz)
        return cls({"classes": list(source.classes), "inputs": inputs.as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """A label outside the classes, or an image with NaN."""
        found, label, count = [], sample.target.label, len(self.classes)
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        if label is None or not 0 <= label < count:
            do = f"labels must lie in 0..{count - 1}"
            found.append(Problem("label-out-of-range", f"label {label}", do=do, **place))
        if sample.image_CHW.is_floating_point() and not sample.image_CHW.isfinite().all():
            bad = int((~sample.image_CHW.isfinite()).sum())
            text = f"{bad} pixels are not finite"
            found.append(Problem("data-nonfinite", text, do="repair or remove it", **place))
        return found

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The backbone's logits are the task's; its last layer is changed where the loss asks.

        Raises UsageError for an unknown loss and for one that does not fit.
        """
        assert backbone is not None
        loss, smoothing = self._loss(), self.spec.get("label_smoothing", 0.0)
        if smoothing and not loss.can_smooth:
            raise UsageError(
                f"label_smoothing={smoothing:g} says nothing to loss={self.spec['loss']}, which "
                "has no shares to spread; set it to 0, or take loss=cross-entropy"
            )
        fit_head(backbone, loss, len(self.classes))
        return backbone

    def _loss(self) -> Loss:
        name = self.spec.get("loss", "cross-entropy")
        known = registry.collect("snellen.nn", "LOSSES")
        if name not in known:
            raise UnknownName(
                name, known, "the losses of a recipe (sn.nn has more, for a loop of your own)"
            )
        found: Loss = known[name]
        return found

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW at the input size, y = {"label": (B,)}."""
        _refuse_boxes(samples)
        inputs = self.inputs()
        x = stack([inputs.fit(s.image_CHW) for s in samples])
        labels = torch.tensor([-1 if s.target.label is None else s.target.label for s in samples])
        index = torch.tensor([s.index for s in samples])
        sizes = torch.tensor([s.size for s in samples])
        return Batch(x, {"label": labels}, index, sizes)

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The spec's loss; auxiliary heads count by the network's `aux_weight`, and by softmax
        where the loss has a last layer of its own.
        """
        loss, smoothing = self._loss(), self.spec.get("label_smoothing", 0.0)
        how = {"label_smoothing": smoothing} if loss.can_smooth else {}
        logits_BK, labels_B = net(batch.x), batch.y["label"]
        parts = {"loss": loss.of(logits_BK, labels_B, **how)}
        of_aux = loss.of if loss.head is None else F.cross_entropy
        for i, aux_BK in enumerate(getattr(net, "aux_logits", ()) if net.training else ()):
            parts[f"aux{i}"] = getattr(net, "aux_weight", 0.3) * of_aux(aux_BK, labels_B, **how)
        return parts

    def pool(self, outs: Sequence[Tensor], tasks: Sequence[Task]) -> Tensor:
        """logits_BK of each -> logits_BK whose softmax is the mean of theirs."""
        return mean_of_shares(outs)

    def decode(self, out: Tensor, batch: Batch) -> list[Prediction]:
        """logits_BK -> label, its probability, and all K probabilities."""
        scores_BK = out.detach().float().softmax(1).cpu()
        top_B, label_B = scores_BK.max(1)
        return [
            Prediction(label=label, score=top, scores_K=scores_K)
            for label, top, scores_K in zip(
                label_B.tolist(), top_B.tolist(), scores_BK, strict=True
            )
        ]

    def metric(self) -> "Confusion":
        """Accuracy and its relatives, from the confusion matrix."""
        return Confusion(len(self.classes))

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The image with the class written on it."""
        return draw_label(sample.image_CHW, self._words(target or sample.target))

    def _words(self, target: Target) -> str:
        name = "?" if target.label is None else self.classes[target.label]
        score = getattr(target, "score", None)
        return name if score is None else f"{name} {score:.2f}"

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are sure of the truth."""
        return 20.0 * F.one_hot(batch.y["label"], len(self.classes)).float()

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always saying the most frequent class."""
        labels = train.labels()
        if labels is None:
            labels = torch.tensor([s.target.label for s in train])
        counts = torch.bincount(labels[labels >= 0], minlength=len(self.classes))
        return {"accuracy": float(counts.max() / counts.sum().clamp(min=1))}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Real digits, a small LeNet, a few seconds."""
        return {"data": "digits", "model": "lenet5_bn", "epochs": 3, "batch": 64}


def _refuse_boxes(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if sample.target.label is None and sample.target.boxes_N4 is not None:
            raise DataError(
                f"{sample.path or f'sample {sample.index}'} has boxes and no class for the whole "
                "image; a classifier is judged on pictures with a class each"
            )


def _has_boxes(part: SampleSet) -> bool:
    target = part.target(0) if len(part) else None
    return target is not None and target.label is None and target.boxes_N4 is not None


class Confusion(Metric):
    """The confusion matrix counts_KK (row: truth, column: prediction) and what follows from it.

    >>> m = Confusion(2)
    >>> m.update([Prediction(label=1), Prediction(label=0)], [Target(label=1), Target(label=1)])
    >>> m.compute()["accuracy"]
    0.5
    """

    def __init__(self, num_classes: int) -> None:
        self.counts_KK: Tensor = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """Count each (truth, prediction) pair; rows without a label are left out."""
        pairs = [(t.label, p.label) for p, t in zip(predictions, targets, strict=True)]
        k = len(self.counts_KK)
        flat = torch.tensor(
            [t * k + p for t, p in pairs if t is not None and 0 <= t < k and p is not None]
        )
        self.counts_KK += torch.bincount(flat.long(), minlength=k * k).view(k, k)

    def compute(self) -> dict[str, float]:
        """accuracy, and the means over the classes that occur of precision, recall and F1."""
        counts = self.counts_KK.double()
        hit, true, said = counts.diag(), counts.sum(1), counts.sum(0)
        seen = true > 0
        precision, recall = hit / said.clamp(min=1), hit / true.clamp(min=1)
        f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
        mean = {"precision": precision, "recall": recall, "f1": f1}
        scores = {name: float(v[seen].mean()) if seen.any() else 0.0 for name, v in mean.items()}
        return {"accuracy": float(hit.sum() / counts.sum().clamp(min=1)), **scores}


TASKS = {"classify": Classify}
