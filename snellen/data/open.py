"""Whatever the user names as data -> a Source with a validation part.

A path or a word, (x, y) arrays, a torch Dataset, or a (train, val) pair of any of these.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset, TensorDataset

from ..core import registry
from ..core.errors import DataError, UsageError
from ._unknown import of_runs, unknown
from .answers import ALONE, alone
from .arrays import from_arrays, from_numbers
from .classes import has_things, match_classes
from .columns import ordered
from .datasets import from_dataset
from .loaders import unloaded
from .mapped import from_map_dataset, from_maps
from .samples import counted_alike, from_samples, gives_samples
from .source import UNLABELLED, Format, Part, SampleSet, Source
from .splits import k_fold, parse_fold, random_split, stratified_k_fold, stratified_split

OF_NUMBERS = ("tag", "regress")  # tasks of columns in place of classes
OF_MAPS = "segment"  # of a class for each pixel
TWICE = "data is a (train, val) pair and val= is given too; leave one out"


def open_data(
    data: Any, *, val: Any = None, split: float = 0.2, fold: str | None = None, seed: int = 0,
    task: str = "classify", counts_from: int | None = None,
) -> Source:  # fmt: skip
    """Data -> Source for a task; `val` is its own, the given one, or `split` of train held out.

    Held out class by class; the same seed holds out the same rows. With split=0 and no validation
    data, `val` is None. A `fold`, the k-th of K, is held out of train whatever there is to validate
    on, and whatever the seed: runs of one fold are judged by the same samples. `counts_from` is a
    network's own Source.counts_from, to be read alike. Raises DataError naming the path, the row or
    the class that cannot be used.

    >>> import numpy as np
    >>> source = open_data((np.zeros((10, 8, 8), np.uint8), [0, 1] * 5))
    >>> len(source.train), len(source.val)
    (8, 2)
    """
    if is_pair(data):
        if val is not None:
            raise DataError(TWICE)
        data, val = data
    if fold is not None and val is not None:
        raise UsageError(f"fold={fold} and val= cannot both be said: each says what is held out")
    source = _told(data, task)
    if counts_from is not None:
        (source,) = counted_alike({"": source}, counts_from)
    if split:
        need_labels(source)
    is_one = len(source.classes) == 1 and source.train.labels() is not None
    if split and is_one and not has_things(source.train):
        raise DataError(
            f"{source.name} has one class, {source.classes[0]!r}; two are the least to tell apart"
        )
    if val is not None:
        other = _told(val, task)
        need_labels(other)
        source, other = counted_alike({"train": source, "val": other}, counts_from)
        return _with_val(source, other, task)
    if fold is not None:
        return _hold_out_fold(source, fold)
    if source.val is not None or not split:
        return source
    return _hold_out(source, split, seed)


def need_labels(source: Source) -> None:
    """Raise DataError where nothing is said of a source's pictures.

    >>> need_labels(open_path("digits"))
    """
    unlabelled = next((p for p in source.problems if p.id == UNLABELLED), None)
    if unlabelled:
        raise DataError(f"{unlabelled}; {unlabelled.do}")


def is_pair(data: Any) -> bool:
    """Whether data is (train, val) rather than (x, y).

    >>> import numpy as np
    >>> x, y = np.zeros((2, 8, 8)), np.zeros(2)
    >>> is_pair((x, y)), is_pair(((x, y), (x, y))), is_pair(("train/", "val/"))
    (False, True, True)
    """
    two = isinstance(data, tuple | list) and len(data) == 2
    return two and all(_is_whole(part) for part in data)


def both(data: Any, val: Any) -> tuple[Any, Any]:
    """Data and validation data in memory -> the pair; raises DataError where that is none.

    >>> import numpy as np
    >>> both("train/", (np.zeros((2, 8, 8)), np.zeros(2)))[0]
    'train/'
    """
    if is_pair(data):
        raise DataError(TWICE)
    for name, one in (("data", data), ("val", val)):
        if not _is_whole(one):
            raise DataError(
                f"{name} is a {type(one).__name__}; a path, (x, y) arrays or a torch Dataset is "
                "wanted, as in sn.train((train, val))"
            )
    return data, val


def _is_whole(data: Any) -> bool:
    """Whether data can stand alone: a path, a data set, or an (x, y) tuple."""
    if isinstance(data, str | Path | Dataset | DataLoader | Source | SampleSet):
        return True
    if not isinstance(data, tuple | list) or len(data) != 2:
        return False
    dims = [getattr(part, "ndim", None) for part in data]
    return dims[0] is not None and dims[0] >= 2 and dims[1] in (None, 1, 2, 3)


def _told(data: Any, task: str) -> Source:
    """Data -> what they are for a task."""
    source = _open(data, task).of(task)
    return alone(source) if task in ALONE else source


def _open(data: Any, task: str) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, str | Path):
        return open_path(data)
    data, unused = unloaded(data)
    if isinstance(data, Dataset) or (hasattr(data, "__getitem__") and hasattr(data, "targets")):
        source = _of_dataset(data, task)
        return replace(source, problems=(*unused, *source.problems))
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
        return _of_arrays(x, y, task)
    size = f" of {len(data)}" if isinstance(data, tuple | list) else ""
    raise DataError(
        f"data is a {type(data).__name__}{size}; a path, a word such as digits, (x, y) arrays, "
        "a torch Dataset or a (train, val) pair is wanted"
    )


def _of_dataset(data: Any, task: str) -> Source:
    read = getattr(type(data), "__getitem__", None)  # the user's own may transform
    if isinstance(data, TensorDataset) and read is TensorDataset.__getitem__:
        if (count := len(data.tensors)) != 2:
            raise DataError(f"{type(data).__name__} has tensors: {count}; two are wanted, images "
                            "and labels")  # fmt: skip
        x, y = data.tensors
        return _of_arrays(x, y, task, name=type(data).__name__)
    if gives_samples(data):
        return from_samples(data)
    if task == OF_MAPS:
        return from_map_dataset(data)
    return from_dataset(data, numbers=task if task in OF_NUMBERS else "")


def _of_arrays(x: Any, y: Any, task: str, name: str = "arrays") -> Source:
    if task == OF_MAPS:
        return from_maps(x, y, name=name)
    if task in OF_NUMBERS:
        return from_numbers(x, y, task, name=name)
    return from_arrays(x, y, name=name)


def open_path(path: str | Path) -> Source:
    """A path or a word -> Source by the one format that knows it; an existing path wins."""
    formats: dict[str, Format] = registry.collect("snellen.data.formats", "FORMATS")
    if not str(path).strip():
        raise DataError("data='' names nothing; give a path or a word such as digits")
    place = Path(path).expanduser()
    try:
        if of_runs(place):
            raise DataError(f"{path} holds what trainings left, and no data; name the pictures: "
                            "data=, or snellen eval RUN --data PICTURES")  # fmt: skip
        able = [name for name, format in formats.items() if format.detect(place)]
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
        raise DataError(f"data={str(path)[:80]!r} cannot be looked at: {error.args[-1]}") from error
    if len(able) > 1:
        raise DataError(f"{path} looks like {' and like '.join(able)}; name the file to read")
    if able:
        return formats[able[0]].open(place)
    raise DataError(unknown(str(path), place, formats))


def _hold_out(source: Source, split: float, seed: int) -> Source:
    labels = source.train.labels()
    if len(source.train) < 2:
        raise DataError(f"{source.name} has one sample; two are the least, one to validate on")
    rows = (random_split(len(source.train), split, seed) if labels is None
            else stratified_split(labels, split, seed))  # fmt: skip
    train, val = (Part(source.train, part) for part in rows)
    return replace(source, train=train, val=val, facts={**source.facts, "split": split})


def _hold_out_fold(source: Source, fold: str) -> Source:
    k, count = parse_fold(fold)
    labels = source.train.labels()
    folds = (k_fold(len(source.train), count, 0) if labels is None
             else stratified_k_fold(labels, count, 0))  # fmt: skip
    train, val = (Part(source.train, rows) for rows in folds[k - 1])
    return replace(source, train=train, val=val, facts={**source.facts, "fold": fold})


def _with_val(source: Source, other: Source, task: str) -> Source:
    """The other source's validation part, or all of it, under this one's class numbers."""
    part = other.val or other.test or other.train
    if (part.labels() is None) != (source.train.labels() is None):
        has, wants = ("boxes", "classes") if part.labels() is None else ("classes", "boxes")
        raise DataError(f"val={other.name} has {has} where {source.name} has {wants}; "
                        "both must be the same kind of data")  # fmt: skip
    if task in OF_NUMBERS and (other.attributes or other.values):
        named = {"tag": {"attributes": source.attributes}, "regress": {"values": source.values}}
        part = ordered(part, other, **named[task])
    val, problems = match_classes(source.classes, other.classes, part)
    new = [problem for problem in other.problems if problem not in source.problems]
    return replace(source, val=val, problems=(*source.problems, *new, *problems))
