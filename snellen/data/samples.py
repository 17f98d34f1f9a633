"""The user's own torch Dataset of Samples, or of torchvision's (image, {"boxes", "labels"})."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.rows import innermost, row_of
from ..core.seeds import untouched_rng
from .classes import number_labels
from .formats._skeleton import mirror_of
from .ground import is_ground
from .pixels import as_tensor, image_tensor, is_counted, plain_dtype, within_bytes
from .relabel import OF_THINGS
from .sample import VOID, Sample, Skeleton, Target
from .source import Problem, SampleSet, Source

LOOKS = 16  # images that decide whether whole numbers are pixels
TYPES = {
    "labels": torch.int64, "boxes_N4": torch.float32, "ignored_N": torch.bool,
    "areas_N": torch.float64, "masks_NHW": torch.bool, "semantic_HW": torch.int64,
    "identities_N": torch.int64, "keypoints_NK2": torch.float32, "visibility_NK": torch.int64,
    "attributes_A": torch.float32, "values_V": torch.float32,
}  # fmt: skip
TORCHVISION = {
    "labels": "labels",
    "boxes": "boxes_N4",
    "masks": "masks_NHW",
    "iscrowd": "ignored_N",
}


class GivenSamples(SampleSet):
    """The user's torch Dataset of Samples, left as it is; labels of things are lessened by `first`.

    `index` of a sample is its row in the innermost data set.
    """

    repeatable = False  # its transforms may draw at random

    def __init__(
        self, dataset: Any, labels_N: Tensor | None = None, *, first: int = 0, as_bytes: bool = True
    ) -> None:
        self.dataset, self.labels_N, self.first, self.as_bytes = dataset, labels_N, first, as_bytes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        sample = read_sample(self.dataset, i, self.as_bytes)
        target = sample.target
        if self.labels_N is not None:
            target = replace(target, label=int(self.labels_N[i]))
        if self.first and target.labels is not None:
            target = replace(target, labels=target.labels - self.first)
        return replace(sample, target=target, index=row_of(self.dataset, i))

    def labels(self) -> Tensor | None:
        """labels_N int64, where each sample has a class."""
        return self.labels_N


def gives_samples(dataset: Any) -> bool:
    """Whether the first item is a Sample, or an image with torchvision's dict of boxes."""
    try:
        with untouched_rng():
            item = dataset[0]
    except Exception:  # the user's own code can raise anything; whoever reads it next names it
        return False
    return isinstance(item, Sample) or _is_torchvision(item)


def from_samples(dataset: Any) -> Source:
    """A torch Dataset of Samples -> Source. Its `classes`, `attributes`, `values` and `skeleton`
    name what they hold; what is not named is numbered, classes after one reading.
    """
    name = type(dataset).__name__
    with untouched_rng():
        is_torchvision = _is_torchvision(dataset[0])
        rows = np.linspace(0, len(dataset) - 1, min(len(dataset), LOOKS)).astype(int).tolist()
        seen = [read_sample(dataset, row, as_bytes=None) for row in dict.fromkeys(rows)]
        named = _told(dataset, "classes")
        needs_all = not named or is_torchvision or seen[0].target.label is not None
        told = Told.of(dataset, name) if needs_all else Told()
    first, labels_N, classes, problems = 0, None, named or told.classes(), tuple[Problem, ...]()
    if told.labels:
        labels_N, classes, problems = number_labels(np.array(told.labels), classes or None, name)
    elif is_torchvision:
        first, classes, problems = _from_one(told, named, name)
    held = all(within_bytes(s.image_CHW) for s in seen if is_counted(s.image_CHW))
    part = GivenSamples(dataset, labels_N, first=first, as_bytes=held)
    return Source(
        name, "dataset", part, tuple(classes), problems=problems,
        skeleton=_skeleton(dataset, seen), attributes=_columns(dataset, "attributes", seen),
        values=_columns(dataset, "values", seen),
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What one reading of all samples says: their classes, and the numbers of things and pixels."""

    labels: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, dataset: Any, name: str) -> "Told":
        """Read all; raises DataError where some have a class and others none."""
        labels, numbers = list[int | None](), set[int]()
        for i in range(len(dataset)):
            target = read_sample(dataset, i, as_bytes=None).target
            labels.append(target.label)
            if target.labels is not None:
                numbers |= set(target.labels.tolist())
            if target.semantic_HW is not None:
                numbers |= set(target.semantic_HW.unique().tolist()) - {VOID}
        known = tuple(label for label in labels if label is not None)
        if known and len(known) < len(labels):
            raise DataError(f"{name}[{labels.index(None)}] has no label where others have one")
        return cls(known, tuple(sorted(numbers)))

    def classes(self) -> tuple[str, ...]:
        """The numbers from 0 to the largest as names."""
        return tuple(str(k) for k in range(max(self.numbers, default=-1) + 1))


def read_sample(dataset: Any, i: int, as_bytes: bool | None = True) -> Sample:
    """Item i of a data set -> Sample with tensors of the usual types; None keeps the pixels' own.

    Raises DataError that names the item.

    >>> import torch
    >>> target = Target(labels=[1], boxes_N4=[[0, 0, 4, 2]])
    >>> read_sample([Sample(torch.zeros(1, 8, 8), target)], 0).target.boxes_N4
    tensor([[0., 0., 4., 2.]])
    """
    place = f"{type(dataset).__name__}[{i}]"
    try:
        item = dataset[i]
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{place} raised {type(error).__name__}: {error}") from error
    if _is_torchvision(item):
        told = {own: item[1][word] for word, own in TORCHVISION.items() if word in item[1]}
        item = Sample(item[0], Target(**told))
    if not isinstance(item, Sample):
        raise DataError(f"{place} is {type(item).__name__}; sn.Sample(image, sn.Target(...)) is "
                        "wanted, as the first item is one")  # fmt: skip
    try:
        image_CHW = image_tensor(item.image_CHW).contiguous()
        image_CHW = image_CHW if as_bytes is None else plain_dtype(image_CHW, as_bytes)
        return replace(item, image_CHW=image_CHW, target=_plain(item.target))
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def _is_torchvision(item: Any) -> bool:
    return (isinstance(item, tuple | list) and len(item) == 2
            and isinstance(item[1], Mapping) and "boxes" in item[1])  # fmt: skip


def _plain(target: Target) -> Target:
    """A target with tensors of the usual types; raises DataError where they do not fit together."""
    plain: dict[str, Any] = {}
    for name, value in target.given().items():
        if name in TYPES:
            plain[name] = as_tensor(value, name).to(TYPES[name])
    boxes = plain.get("boxes_N4")
    if boxes is not None and not boxes.numel():
        plain["boxes_N4"] = boxes = boxes.reshape(0, 4)
    if boxes is not None and (boxes.ndim != 2 or boxes.shape[1] != 4):
        raise DataError(
            f"boxes_N4 has shape {tuple(boxes.shape)}; x1, y1, x2, y2 of each is wanted"
        )
    counts = {name: len(plain[name]) for name in ("labels", *OF_THINGS) if name in plain}
    if counts and "labels" not in counts:
        raise DataError(f"{next(iter(counts))} without labels; a class for each is wanted")
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"{said}; as many of each are wanted")
    return replace(target, **plain)


def _told(dataset: Any, name: str) -> tuple[str, ...]:
    """The names that a data set gives as an attribute of its own, or none."""
    names = getattr(innermost(dataset), name, None)
    return tuple(map(str, names)) if isinstance(names, tuple | list) else ()


def _columns(dataset: Any, name: str, seen: list[Sample]) -> tuple[str, ...]:
    """Names of the numbers of a sample: the data set's own, else 0, 1 ..."""
    field = "attributes_A" if name == "attributes" else "values_V"
    cells = getattr(seen[0].target, field)
    if cells is None:
        return ()
    return _told(dataset, name) or tuple(str(k) for k in range(len(cells)))


def _skeleton(dataset: Any, seen: list[Sample]) -> Skeleton | None:
    own = getattr(innermost(dataset), "skeleton", None)
    joints = next(
        (s.target.keypoints_NK2 for s in seen if s.target.keypoints_NK2 is not None), None
    )
    if isinstance(own, Skeleton) or joints is None:
        return own if isinstance(own, Skeleton) else None
    names = tuple(str(k) for k in range(joints.shape[1]))
    return Skeleton(names, mirror=mirror_of(names))


def _from_one(
    told: Told, named: tuple[str, ...], where: str
) -> tuple[int, tuple[str, ...], tuple[Problem, ...]]:  # fmt: skip
    """Torchvision's labels, 0 the ground -> (what is taken off, names, what was taken for what)."""
    if not told.numbers:
        return 0, named, ()
    least, most = told.numbers[0], told.numbers[-1]
    has_ground = bool(named) and is_ground(named[0])
    first = int(least > 0 and (not named or has_ground or len(named) == most))
    classes = (named[1:] if first and has_ground else named) or told.classes()[first:]
    message = f"{where}: labels of boxes are {least} to {most}; {first} is read as {classes[0]!r}"
    return first, classes, (Problem("label-numbering", message, harm="harmless"),)
