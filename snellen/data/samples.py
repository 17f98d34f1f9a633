"""The user's own torch Dataset of Samples, or of torchvision's (image, {"boxes", "labels"})."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.rows import innermost, row_of
from ..core.seeds import untouched_rng
from .classes import number_labels
from .counting import NUMBERING, Count, Numbers, count_of_all
from .formats._skeleton import mirror_of
from .pixels import as_tensor, image_tensor, is_counted, plain_dtype, within_bytes
from .relabel import OF_THINGS
from .sample import VOID, Sample, Skeleton, Target
from .sets import item_of, place_of
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

    `index` of a sample is its row in the innermost data set. `numbers` are those of torchvision's
    boxes, None for others.
    """

    repeatable = False  # its transforms may draw at random

    def __init__(
        self, dataset: Any, labels_N: Tensor | None = None, *, as_bytes: bool = True,
        numbers: Numbers | None = None, first: int = 0,
    ) -> None:  # fmt: skip
        self.dataset, self.labels_N, self.as_bytes = dataset, labels_N, as_bytes
        self.numbers, self.first = numbers, first

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Sample:
        sample = read_sample(self.dataset, i, self.as_bytes)
        target = sample.target
        if self.labels_N is not None:
            target = replace(target, label=int(self.labels_N[i]))
        if target.labels is None and target.label is not None and _has_thing(target):
            target = replace(target, labels=torch.tensor([target.label]))
        elif target.labels is not None:
            labels = target.labels  # a negative one stays: it is no class
            target = replace(target, labels=labels.where(labels < self.first, labels - self.first))
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
    labels_N, classes, problems = None, named or told.classes(), tuple[Problem, ...]()
    if told.labels:
        labels_N, classes, problems = number_labels(np.array(told.labels), classes or None, name)
    numbers = Numbers(name, told.numbers, named) if is_torchvision and not told.labels else None
    held = all(within_bytes(s.image_CHW) for s in seen if is_counted(s.image_CHW))
    part = GivenSamples(dataset, labels_N, as_bytes=held, numbers=numbers)
    source = Source(
        name, "dataset", part, tuple(classes), problems=problems,
        skeleton=_skeleton(dataset, seen), attributes=_columns(dataset, "attributes", seen),
        values=_columns(dataset, "values", seen),
    )  # fmt: skip
    return counted_alike({"": source})[0]


def counted_alike(sources: Mapping[str, Source], known: int | None = None) -> tuple[Source, ...]:
    """Sources by the name of their part -> the same; labels of torchvision's boxes among them are
    read by what those of all count from, or by `known`, what the network's own data count from.

    Raises DataError, naming the items, where no one count fits all.
    """
    numbers = {part: n for part, source in sources.items() if (n := _numbers_of(source))}
    count = count_of_all(numbers, known)
    return tuple(_counted(s, n, count) if (n := _numbers_of(s)) else s for s in sources.values())


def _numbers_of(source: Source) -> Numbers | None:
    return source.train.numbers if isinstance(source.train, GivenSamples) else None


def _counted(source: Source, numbers: Numbers, count: Count) -> Source:
    part = source.train
    assert isinstance(part, GivenSamples)
    part = GivenSamples(part.dataset, part.labels_N, as_bytes=part.as_bytes, numbers=numbers,
                        first=count.first)  # fmt: skip
    problems = (*(p for p in source.problems if p.id != NUMBERING), *count.note(numbers))
    return replace(source, train=part, classes=numbers.classes(count.first), problems=problems,
                   counts_from=count.first)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What one reading of all samples says: their classes, and the numbers of things and pixels,
    each with the item where it stands first.
    """

    labels: tuple[int, ...] = ()
    numbers: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Any, name: str) -> "Told":
        """Read all; raises DataError where some have a class and others none."""
        labels, numbers = list[int | None](), dict[int, int]()
        for i in range(len(dataset)):
            target = read_sample(dataset, i, as_bytes=None).target
            labels.append(target.label)
            things, map_HW = target.labels, target.semantic_HW
            found = set[int]() if things is None else set(things.tolist())
            found |= set() if map_HW is None else set(map_HW.unique().tolist()) - {VOID}
            numbers |= dict.fromkeys(found - numbers.keys(), i)
        known = tuple(label for label in labels if label is not None)
        if known and len(known) < len(labels):
            raise DataError(f"{name}[{labels.index(None)}] has no label where others have one")
        return cls(known, numbers)

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
    item, place = item_of(dataset, i), place_of(dataset, i)
    if not isinstance(item, Sample) and not _is_torchvision(item):
        raise DataError(f"{place} is {type(item).__name__}; sn.Sample(image, sn.Target(...)) is "
                        "wanted, as the first item is one")  # fmt: skip
    try:
        if _is_torchvision(item):
            item = Sample(item[0], _of_torchvision(item[1]))
        image_CHW = image_tensor(item.image_CHW).contiguous()
        image_CHW = image_CHW if as_bytes is None else plain_dtype(image_CHW, as_bytes)
        target = _plain(item.target, len(_told(dataset, "classes")))
        return replace(item, image_CHW=image_CHW, target=target)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def _is_torchvision(item: Any) -> bool:
    return (isinstance(item, tuple | list) and len(item) == 2
            and isinstance(item[1], Mapping) and "boxes" in item[1])  # fmt: skip


def _of_torchvision(told: Mapping[str, Any]) -> Target:
    """Torchvision's dict -> Target; a joint is visible where `keypoints` marks it above 0."""
    target = Target(**{own: told[word] for word, own in TORCHVISION.items() if word in told})
    points = as_tensor(told.get("keypoints", ()), "keypoints")
    if not points.numel():
        return target
    if points.ndim != 3 or points.shape[2] != 3:
        raise DataError(f"keypoints has shape {tuple(points.shape)}; (N, K, 3) of x, y and "
                        "visibility is wanted")  # fmt: skip
    seen_NK = 2 * (points[..., 2] > 0).long()
    return replace(target, keypoints_NK2=points[..., :2], visibility_NK=seen_NK)


def _plain(target: Target, num_named: int) -> Target:
    """A target with tensors of the usual types; raises DataError where they do not fit together.

    Things without `labels` are of the one class where one is named, or none and they have joints.
    """
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
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"{said}; as many of each are wanted")
    count = next(iter(counts.values()), 0)
    if counts and "labels" not in counts and not (target.label is not None and count == 1):
        is_one_class = num_named == 1 or (num_named == 0 and "keypoints_NK2" in plain)
        if count and not is_one_class:
            raise DataError(f"{next(iter(counts))} without labels; a class for each is wanted")
        plain["labels"] = torch.zeros(count, dtype=torch.int64)
    return replace(target, **plain)


def _has_thing(target: Target) -> bool:
    return not target.given().keys().isdisjoint(OF_THINGS)


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
