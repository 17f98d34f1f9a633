"""Tagging: which of several attributes an image has, any number at once. Notes 003.

x_BCHW -> scores_BA, one an attribute, above 0 for yes: a logistic regression each, or a hinge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..core.errors import DataError, UnknownName
from ..data.columns import ordered
from ..data.contains import Contains
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..nn.attributes import attribute_hinge, attribute_logistic
from ..nn.presence import PresenceHead
from ._cells import Columns, known
from ._pooling import mean_of_odds
from ._spread import spread_rows, targets_of
from .drawing import draw_lines
from .heads import end_in, full
from .task import Metric, Task

LOOKS = 500  # samples read where a target cannot be had without its picture
SURE = 100.0  # a score whose loss is 0 in single precision
SURELY = 20.0


class Tag(Task):
    """Attributes that hold or not; NaN in the data is not known, and is left out.

    spec: {"attributes": [...], "inputs": Inputs.as_dict(), "loss": "logistic"}; loss may be
    missing. Of data with boxes the attributes are the classes: which of them occur in an image.
    """

    name = "tag"
    about = "which of several attributes an image has"
    score = "mAP"
    default_model = "resnet8_w32"
    settings = ("loss",)
    rivals = False
    squashes = True
    usual = {"augment": "flip+crop", "samples": 60_000, "batch": 32}

    def names(self) -> list[str]:
        """The attributes, in the order of the scores."""
        return list(self.spec["attributes"])

    def num_outputs(self) -> int:
        """A score for each attribute."""
        return len(self.names())

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """Data with attributes as they are; of boxes, which classes occur."""
        if source.attributes:
            return source
        first = source.train.target(0) if len(source.train) else None
        if first is None or first.boxes_N4 is None or not source.classes:
            raise DataError(
                f"{source.name} ({source.format}) has no attributes; task=tag wants a table with "
                "a column of 0 and 1 for each, or boxes, whose classes are then the attributes"
            )
        count = len(source.classes)
        val, test = (part and Contains(part, count) for part in (source.val, source.test))
        return replace(source, train=Contains(source.train, count), val=val, test=test,
                       attributes=source.classes)  # fmt: skip

    def aligned(self, part: SampleSet, source: Source) -> SampleSet:
        """A part of other data with its attributes in this task's order."""
        return ordered(part, source, attributes=self.names())

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Tag":
        """Attributes from the data, the input from the training part's images; raises DataError for
        one that is neither 0 nor 1, and where not one differs from image to image; of rows of
        which only some are looked at, the rest may differ.
        """
        count = len(source.attributes)
        cells_NA = _gather(source.train, count, _cells)
        differs = len(cells_NA) < len(source.train)
        for name, cells in zip(source.attributes, cells_NA.T, strict=True):
            given = cells[~cells.isnan()]
            odd = given[~_is_known(given)]
            if len(odd):
                raise DataError(
                    f"{source.name}: {name} is {float(odd[0]):g} in {len(odd)} of {len(given)} "
                    "images; an attribute is 0 or 1, or nan where not known; task=classify tells "
                    "classes apart, task=regress learns other numbers"
                )
            differs = differs or bool((given != given[:1]).any())
        if not differs:
            raise DataError(
                f"{source.name}: no attribute differs from image to image, so there is nothing to "
                "learn; columns of 0 and 1 are wanted"
            )
        inputs = Inputs.of(source.train, imgsz)
        return cls({"attributes": list(source.attributes), "inputs": inputs.as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """No attributes, one that is neither 0 nor 1, or too few or many."""
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        given, names = sample.target.attributes_A, self.names()
        if given is None or len(given) != len(names):
            text = f"{0 if given is None else len(given)} attributes where {len(names)} are wanted"
            return [Problem("attribute-missing", text, do="give 0 or 1 for each", **place)]
        wrong = ((given != 0) & (given != 1) & ~given.isnan()).nonzero()[:, 0].tolist()
        return [
            Problem("attribute-not-binary", f"{names[i]} is {float(given[i]):g}",
                    do="0 and 1 are wanted; it is left out of loss and scores", **place)
            for i in wrong
        ]  # fmt: skip

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The backbone with a presence head; a module without stages as it is.

        Raises UnknownName for an unknown loss.
        """
        assert backbone is not None
        self._loss()
        return end_in(backbone, self.inputs(), lambda width: PresenceHead(width, len(self.names())))

    def _loss(self) -> Any:
        name = self.spec.get("loss", "logistic")
        if name not in TAG_LOSSES:
            raise UnknownName(name, TAG_LOSSES, "the losses of task=tag")
        return TAG_LOSSES[name]

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW at the input size, y = {"attributes": (B, A)}, NaN where not known."""
        inputs, count = self.inputs(), len(self.names())
        x = stack([inputs.fit(s.image_CHW) for s in samples])
        attributes = torch.stack([_known(s.target.attributes_A, count) for s in samples])
        index = torch.tensor([s.index for s in samples])
        sizes = torch.tensor([s.size for s in samples])
        return Batch(x, {"attributes": attributes}, index, sizes)

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """The sum over the known attributes of their losses, mean over the batch."""
        scores_BA, true_BA = full(net(batch.x)), batch.y["attributes"]
        known_BA = ~true_BA.isnan()
        scores_BA = torch.where(known_BA, scores_BA, SURE)  # of what is not known: no loss
        return {"loss": self._loss()(scores_BA, true_BA.nan_to_num(1.0))}

    def pool(self, outs: Sequence[Tensor], tasks: Sequence[Task]) -> Tensor:
        """scores_BA of each -> scores_BA whose probabilities are the mean of theirs."""
        return mean_of_odds(outs)

    def decode(self, out: Tensor, batch: Batch) -> list[Prediction]:
        """scores_BA -> which hold, and the probability of each in scores_K."""
        scores_BA = out.detach().float().cpu()
        return [
            Prediction(attributes_A=(scores_A > 0).float(), scores_K=scores_A.sigmoid())
            for scores_A in scores_BA
        ]

    def metric(self) -> "TagScores":
        """Mean average precision, accuracy and F1 over the attributes."""
        return TagScores(self.names())

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The image with the attributes that hold written below, three a line."""
        given = (target or sample.target).attributes_A
        held = [] if given is None else (given == 1).nonzero()[:, 0].tolist()
        words = [self.names()[i] for i in held] or ["none"]
        lines = [", ".join(words[i : i + 3]) for i in range(0, len(words), 3)]
        return draw_lines(sample.image_CHW, lines)

    def oracle(self, batch: Batch) -> Tensor:
        """Scores that are sure of the truth."""
        return SURELY * (2 * batch.y["attributes"].nan_to_num(0.5) - 1)

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Scores without meaning: an attribute's average precision is then its share; and always
        saying what is more frequent.
        """
        share_A = _gather(train, len(self.names()), _known).nanmean(0)
        share_A = share_A[~share_A.isnan()]
        if not len(share_A):
            return {"mAP": 0.0, "accuracy": 0.0}
        occurs_A = share_A[share_A > 0]
        mean = float(occurs_A.mean()) if len(occurs_A) else 0.0
        return {"mAP": mean, "accuracy": float(torch.maximum(share_A, 1 - share_A).mean())}

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Generated scenes at half their size, a few seconds an epoch."""
        return {"data": "shapes", "task": cls.name, "model": "resnet8_w32", "imgsz": 48,
                "epochs": 4}  # fmt: skip


def _gather(train: SampleSet, count: int, read: Callable[[Tensor | None, int], Tensor]) -> Tensor:
    """attributes_NA of all samples, or of some where each costs reading a picture."""
    looked = (train[i] for i in spread_rows(len(train), LOOKS))
    return torch.stack([read(t.attributes_A, count) for t in targets_of(train, looked)])


def _cells(given: Tensor | None, count: int) -> Tensor:
    return known(given, count, lambda cells_A: ~cells_A.isnan())


def _known(given: Tensor | None, count: int) -> Tensor:
    return known(given, count, _is_known)


def _is_known(cells_A: Tensor) -> Tensor:
    return (cells_A == 0) | (cells_A == 1)


def _hinge(scores_BA: Tensor, true_BA: Tensor) -> Tensor:
    return attribute_hinge(scores_BA, 2 * true_BA - 1)


TAG_LOSSES = {"logistic": attribute_logistic, "hinge": _hinge}  # scores_BA, true_BA -> loss


class TagScores(Metric):
    """Gathers probabilities and truths; what is not known (NaN) is not counted.

    >>> scores = TagScores(["round"])
    >>> said = [Prediction(scores_K=torch.tensor([p])) for p in (0.9, 0.6, 0.2)]
    >>> scores.update(said, [Target(attributes_A=torch.tensor([v])) for v in (1.0, 0.0, 1.0)])
    >>> round(scores.compute()["mAP"], 4)
    0.8333
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.table = list(names), Columns()

    @property
    def has_truths(self) -> bool:
        """Whether any cell is known."""
        return self.table.has_truths

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch."""
        for said, target in zip(predictions, targets, strict=True):
            count = len(self.names)
            scores_A = torch.zeros(count) if said.scores_K is None else said.scores_K
            self.table.add(scores_A, _known(target.attributes_A, count))

    def compute(self) -> dict[str, float]:
        """mAP and F1 over the attributes that occur, accuracy over those that are known; and the
        average precision of each.
        """
        found = {name: row for a, name in enumerate(self.names) if (row := self._of(a))}
        means = {}
        for i, metric in enumerate(("mAP", "accuracy", "f1")):
            values = [row[i] for row in found.values() if row[i] is not None]
            means[metric] = sum(values) / len(values) if values else 0.0
        each = {f"AP/{name}": row[0] for name, row in found.items() if row[0] is not None}
        if found and not each:  # nothing occurs: nothing to be ranked
            means |= {"mAP": float(means["accuracy"] == 1), "f1": float(means["accuracy"] == 1)}
        return means | (each if len(self.names) > 1 else {})

    def _of(self, a: int) -> Any:
        """(average precision, accuracy, F1) of an attribute; None where they mean nothing."""
        column = self.table.of(a)
        if column is None:
            return None
        score_N, true_N = column[0], column[1] == 1
        said_N = score_N > 0.5
        right = float((said_N == true_N).double().mean())
        if not true_N.any():
            return None, right, None
        hits = int((said_N & true_N).sum())
        f1 = 2 * hits / int(said_N.sum() + true_N.sum())
        return average_precision(score_N, true_N), right, f1


def average_precision(score_N: Tensor, true_N: Tensor) -> float:
    """score_N, true_N (bool) -> the mean over the true ones of the precision at their score.

    Equal scores are one step, as in scikit-learn, so that the order of samples says nothing.

    >>> average_precision(torch.tensor([0.9, 0.6, 0.2]), torch.tensor([True, False, True]))
    0.8333333333333333
    """
    score_N, order = score_N.sort(descending=True, stable=True)
    hits_N = true_N[order].double().cumsum(0)
    last_N = torch.cat([score_N[1:] != score_N[:-1], torch.ones(1, dtype=torch.bool)])
    places = last_N.nonzero()[:, 0]
    hits = hits_N[places]
    gained = torch.diff(hits, prepend=hits.new_zeros(1))
    return float((gained * hits / (places + 1)).sum() / hits_N[-1])


TASKS = {"tag": Tag}
