"""The user's own torch Dataset of (image, label), looked at a little and then left as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset, TensorDataset

from ..core.errors import DataError
from ..core.seeds import untouched_rng
from .arrays import from_arrays, label_values
from .classes import number_labels
from .pixels import image_tensor, is_counted, within_bytes
from .sets import DatasetSet
from .source import Problem, Source

LOOKS = 16  # items read beforehand, spread over the set, and one of each of so many labels


def from_dataset(dataset: Any) -> Source:
    """A torch Dataset of (image, label) -> Source; labels come from `.targets` or one reading.

    `.targets` and `.labels` are believed where some items say the same; a target_transform, or
    a __getitem__ that thinks otherwise, is what is trained on.
    """
    name = type(dataset).__name__
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        return from_arrays(*dataset.tensors, name=name)
    if not hasattr(dataset, "__len__"):
        raise DataError(f"{name} has no length; a data set with __len__ and [i] is wanted")
    if not len(dataset):
        raise DataError(f"{name} is empty")
    said, names = _told(dataset), _class_names(dataset)
    with untouched_rng():
        items = _looked_at(dataset, said)
        row = None if said is None else _contradiction(items, said, names)
        problems = () if row is None else (_differs(name, row, said[row], items[row][1]),)
        if said is None or row is not None:
            said, names = _read(dataset, name), names if said is None else None
    labels_N, classes, more = number_labels(label_values(said, name), names, name)
    part = DatasetSet(dataset, labels_N, as_bytes=_hold_bytes(items))
    return Source(name, "dataset", part, classes, problems=problems + more)


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


def _read(dataset: Any, name: str) -> list[Any]:
    labels = []
    for i in range(len(dataset)):
        item = dataset[i]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{name}[{i}] is {type(item).__name__}; (image, label) is wanted")
        label = item[1]
        if isinstance(label, Mapping):
            raise DataError(f"{name}[{i}] gives a dict of {', '.join(map(str, label))} with its "
                            "image; give a label, or sn.Sample(image, sn.Target(...))")  # fmt: skip
        labels.append(label.item() if isinstance(label, torch.Tensor) else label)
    return labels


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
