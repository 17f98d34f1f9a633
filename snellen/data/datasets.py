"""The user's own torch Dataset of (image, label), looked at a little and then left as it is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset

from ..core.errors import DataError
from ..core.seeds import untouched_rng
from .arrays import label_values, wanted
from .classes import number_labels
from .loaders import unloaded
from .numbered import from_number_dataset
from .pixels import image_tensor, is_counted, within_bytes
from .sample import Sample
from .sets import DatasetSet, item_of, place_of
from .source import Part, Problem, Source

FEW = 6  # rows that are named one by one
LOOKS = 16  # items read beforehand, spread over the set, and one of each of so many labels


def from_dataset(dataset: Any, *, numbers: str = "") -> Source:
    """A torch Dataset of (image, label) -> Source; labels come from `.targets` or one reading,
    which leaves out and lists what raises. `numbers` is a task of (image, numbers), tag or regress.

    `.targets` and `.labels` are believed where some items say the same; a target_transform, or
    a __getitem__ that thinks otherwise, is what is trained on.
    """
    name = type(dataset).__name__
    if not hasattr(dataset, "__len__"):
        raise DataError(f"{name} has no length; a data set with __len__ and [i] is wanted")
    if not len(dataset):
        raise DataError(f"{name} is empty")
    said = None if numbers else _told(dataset)
    names, rows = _class_names(dataset), list(range(len(dataset)))
    with untouched_rng():
        items = _looked_at(dataset, said)
        if numbers:
            return from_number_dataset(dataset, numbers, as_bytes=_hold_bytes(items))
        row, problems = None, tuple[Problem, ...]()
        if said is not None and (row := _contradiction(items, said, names)) is not None:
            problems = (_differs(name, row, said[row], items[row][1]),)
        if said is None or row is not None:
            names = names if said is None else None
            rows, said, lost = _read(dataset, name)
            problems += lost
    found, classes, more = number_labels(label_values(said, name), names, name)
    labels_N = torch.full((len(dataset),), -1).index_copy(0, torch.tensor(rows), found)
    part = DatasetSet(dataset, labels_N, as_bytes=_hold_bytes(items))
    left = part if len(rows) == len(part) else Part(part, rows)
    return Source(name, "dataset", left, classes, problems=problems + more)


def pictures_of(data: Any) -> Iterator[Any]:
    """A torch Dataset or DataLoader -> the picture of each item, as it is, in the order of rows.

    An item is a picture, or a Sample or a tuple that begins with one. Raises DataError that names
    an item that raises.

    >>> from torch.utils.data import TensorDataset
    >>> [x.shape for x in pictures_of(TensorDataset(torch.zeros(1, 3, 8, 8), torch.ones(1)))]
    [torch.Size([3, 8, 8])]
    """
    dataset, _ = unloaded(data)
    if not hasattr(dataset, "__len__"):
        raise DataError(f"{type(dataset).__name__} has no length; give a list of its pictures")
    for i in range(len(dataset)):
        item = item_of(dataset, i)
        if isinstance(item, Sample):
            item = item.image_CHW
        yield item[0] if isinstance(item, tuple | list) and item else item


def _told(dataset: Any) -> Any:
    """The labels that a data set lists, or None where it does not."""
    for attribute in ("targets", "labels"):
        values = getattr(dataset, attribute, None)
        if isinstance(values, list | np.ndarray | torch.Tensor) and len(values) == len(dataset):
            return values
    return None


def _looked_at(dataset: Any, said: Any) -> dict[int, Any]:
    """Some items by their rows, of every label a few; those that cannot be read are left out."""
    count = len(dataset)
    rows = set(np.linspace(0, count - 1, min(count, LOOKS)).astype(int).tolist())
    if said is not None:
        first = {str(_plain(value)): i for i, value in reversed(list(enumerate(said)))}
        rows |= set(list(first.values())[:LOOKS])
    items = {}
    for row in sorted(rows):
        try:
            items[row] = dataset[row]
        except Exception:  # `audit.screen` and the reading of the sample name it
            continue
    return {row: item for row, item in items.items() if isinstance(item, tuple | list) and item}


def _contradiction(items: dict[int, Any], said: Any, names: Sequence[str] | None) -> int | None:
    """The first row whose item has another label than the data set lists for it."""

    def word(value: Any) -> str:
        value = _plain(value)
        if names and isinstance(value, int) and 0 <= value < len(names):
            return names[value]
        return str(value)

    pairs = ((row, item[1]) for row, item in items.items() if len(item) == 2)
    return next((row for row, label in pairs if word(label) != word(said[row])), None)


def _plain(label: Any) -> Any:
    """A label as a whole number where it is one, else as it is."""
    if isinstance(label, torch.Tensor | np.ndarray | np.generic):
        label = label.tolist()
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if isinstance(label, bool) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    return label


def _differs(name: str, row: int, said: Any, item: Any) -> Problem:
    return Problem(
        "label-list-differs",
        f"{name} lists label {_plain(said)} for row {row} and gives {_plain(item)} with its image; "
        "what it gives with the images is used",
        harm="harmless",
        samples=(row,),
    )


def _read(dataset: Any, name: str) -> tuple[list[int], list[Any], tuple[Problem, ...]]:
    """The rows that can be read, their labels, and what is said of the others."""
    labels, lost = dict[int, Any](), dict[int, DataError]()
    for i in range(len(dataset)):
        try:
            item = item_of(dataset, i)
        except DataError as error:
            lost[i] = error
            continue
        labels[i] = _label(item, place_of(dataset, i))
    if not labels:
        raise DataError(f"none of the {len(lost)} items of {name} can be read; {lost[0]}")
    said = () if not lost else (_left_out(lost, name, len(dataset)),)
    return list(labels), list(labels.values()), said


def _label(item: Any, place: str) -> Any:
    """The label of an item, a one-hot row as a list; raises DataError for what is none."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        many = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise DataError(f"{place} is {type(item).__name__}{many}; (image, label) is wanted")
    label = item[1]
    if isinstance(label, Mapping):
        raise DataError(f"{place} gives a dict of {', '.join(map(str, label))} with its "
                        "image; give a label, or sn.Sample(image, sn.Target(...))")  # fmt: skip
    if not isinstance(label, torch.Tensor | np.ndarray):
        return label
    if max(label.shape, default=1) == 1:
        return label.item()
    if label.ndim > 1:
        raise DataError(f"{place} gives a label of shape {tuple(label.shape)}; "
                        f"{wanted(label.ndim)}")  # fmt: skip
    return label.tolist()


def _left_out(lost: Mapping[int, DataError], name: str, count: int) -> Problem:
    fate = "it is left out" if len(lost) == 1 else "they are left out"
    rows = ", ".join(map(str, list(lost)[:FEW])) + (" ..." if len(lost) > FEW else "")
    return Problem(
        "file-unreadable",
        f"{len(lost)} of {count} items of {name} cannot be read ({rows}): "
        f"{next(iter(lost.values()))}; {fate}",
        samples=tuple(lost),
        do="mend what the data set does for these rows, or give it without them",
    )


def _hold_bytes(items: dict[int, Any]) -> bool:
    """Whether whole numbers of an untelling type are pixels, by all images looked at."""
    seen = []
    for item in items.values():
        try:
            seen.append(image_tensor(item[0]))
        except DataError:
            continue
    return all(within_bytes(x) for x in seen if is_counted(x))


def _class_names(dataset: Any) -> Sequence[str] | None:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    return [str(n) for n in names] if isinstance(names, tuple | list) and names else None
