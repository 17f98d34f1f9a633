"""Knows which rows of which data set the coming step uses, and how data sets are nested.

DataLoaders hand out indices first in, first out, with workers too, so their order is enough. With
in_order=False and with iterable data sets the rows are unknown, and that is what is said.
"""

import time
import weakref
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset
from torch.utils.data import dataloader as torch_dataloader

from ..core.rows import innermost, row_of
from ..core.seeds import untouched_rng
from .holdings import is_library
from .snapshot import Snapshot

KEEP = 4  # batches: accelerate and Lightning fetch one or two ahead of the step
PATHS = ("samples", "imgs", "paths", "files", "image_paths")


@dataclass(slots=True)
class Record:
    """One batch as a loader gave it. `rows` index `dataset`; None where they are unknown."""

    dataset: Any
    rows: Any  # a sequence or a tensor of integers
    data: Any = None
    collate: Any = None
    batch_size: int | None = None
    num_batches: int | None = None
    split: str = ""

    def indices(self) -> list[int] | None:
        """The rows as integers."""
        rows = self.rows.tolist() if hasattr(self.rows, "tolist") else self.rows
        if not isinstance(rows, Sequence) or not all(isinstance(i, int) for i in rows):
            return None
        return list(rows)


@dataclass(slots=True)
class Run:
    """One pass of a DataLoader's iterator."""

    batch_size: int | None
    num_batches: int | None
    collate: Any
    is_known: bool = True  # which rows a batch has: they come in the order in which they are dealt
    rows: deque[Any] = field(default_factory=deque)  # dealt to workers, not yet handed out
    came: float | None = None  # when the last batch was
    gone: Any = None  # forgets the run when its iterator is


@dataclass(slots=True)
class Waits:
    """How long the training waited for its batches, the first of each epoch left out."""

    count: int = 0
    waited: float = 0.0
    seconds: float = 0.0  # from batch to batch


class Loaders:
    """Follows every DataLoader of the process while `followed` is open."""

    def __init__(self) -> None:
        self.recent: deque[Record] = deque(maxlen=KEEP)
        self._runs: dict[int, Run] = {}  # by the id of the iterator
        self._lengths: weakref.WeakKeyDictionary[DataLoader, int | None] = (
            weakref.WeakKeyDictionary()
        )
        self.waits = Waits()
        self.on_first: Any = None  # called with a data set before its first batch is handed out
        self.fail: Callable[[Any, BaseException], Any] = lambda who, error: None  # notes it

    @property
    def latest(self) -> Record | None:
        """The batch that was handed out last."""
        return self.recent[-1] if self.recent else None

    def add(self, record: Record) -> None:
        """Take in a batch; older ones keep their rows and lose their data."""
        if len(self.recent) >= 2:
            self.recent[-2].data = None
        self.recent.append(record)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Wrap the loaders' iterators; put back on exit."""
        kind = torch_dataloader._BaseDataLoaderIter
        names = ("_next_index", "_reset", "__next__", "__init__")
        originals = [getattr(kind, name) for name in names]
        for name, wrapped in zip(names, self._wrappers(*originals), strict=True):
            setattr(kind, name, wrapped)
        try:
            yield
        finally:
            for name, original in zip(names, originals, strict=True):
                setattr(kind, name, original)
            self.recent.clear()

    def _wrappers(self, next_index: Any, reset: Any, step: Any, init: Any) -> tuple[Any, ...]:
        runs = self._runs

        def begin(it: Any, loader: DataLoader) -> None:
            try:
                key, known = id(it), not isinstance(loader.dataset, IterableDataset)
                runs[key] = Run(loader.batch_size, self._batches(loader), loader.collate_fn, known)
                runs[key].gone = weakref.ref(it, lambda _: runs.pop(key, None))
            except Exception as error:
                self.fail(begin, error)
            init(it, loader)
            if (run := runs.get(id(it))) is not None:
                run.is_known = run.is_known and getattr(it, "_in_order", True)

        def index(it: Any) -> Any:
            rows = next_index(it)
            run = runs.get(id(it))
            if run is not None:
                run.rows.append(rows)
            return rows

        def again(it: Any, *args: Any, **kwargs: Any) -> Any:
            run = runs.get(id(it))
            if run is not None:
                run.rows.clear()
                run.came = None
            return reset(it, *args, **kwargs)

        def following(it: Any) -> Any:
            if self.on_first is not None:
                self.on_first(it._dataset)
            began = time.perf_counter()
            data, run = step(it), runs.get(id(it))
            if run is not None:
                try:
                    self._came(run, it, data, began)
                except Exception as error:
                    self.fail(following, error)
            return data

        return index, again, following, begin

    def _batches(self, loader: DataLoader) -> int | None:
        """The batches of a loader; torch remembers being asked, and would warn of it later."""
        if loader not in self._lengths:
            key, own = "_IterableDataset_len_called", vars(loader)
            asked = own.get(key)
            self._lengths[loader] = length_of(loader)
            own.update({key: asked} if key in own else {})
        return self._lengths[loader]

    def _came(self, run: Run, it: Any, data: Any, began: float) -> None:
        """A batch has been handed out."""
        if torch.is_grad_enabled():
            ended, waits = time.perf_counter(), self.waits
            if run.came is not None:
                waits.count += 1
                waits.waited += ended - began
                waits.seconds += ended - run.came
            run.came = ended
        rows = run.rows.popleft() if run.rows else None
        if isinstance(rows, int):  # batch_size=None hands out single items
            rows = [rows]
        rows = rows if run.is_known else None
        batch = Record(it._dataset, rows, data, run.collate, run.batch_size, run.num_batches)
        self.add(batch)


def length_of(data: Any) -> int | None:
    """How many items, or batches; None where that is unknown. The user's code may raise anything.

    >>> length_of([1, 2]), length_of(iter([1]))
    (2, None)
    """
    parts = [data]
    if isinstance(data, DataLoader):
        parts = [data.dataset, data.sampler, data.batch_sampler]
    own = [part for part in parts if not is_library(type(part).__module__)]
    try:
        kept = Snapshot(*own)
    except Exception:
        return None
    try:
        with untouched_rng() if own else nullcontext():
            return len(data)
    except Exception:
        return None
    finally:
        kept.put_back()


def dataset_of(data: Any) -> Any:
    """A DataLoader or a data set -> the data set."""
    return data.dataset if isinstance(data, DataLoader) else data


def items_of(dataset: Any, rows: list[int]) -> Any:
    """Items of a data set, in one call where it offers one, as torch's own loaders read them.

    >>> items_of(["a", "b", "c"], [2, 0])
    ['c', 'a']
    """
    together = getattr(dataset, "__getitems__", None)
    return together(rows) if together else [dataset[i] for i in rows]


def path_of(dataset: Any, i: int) -> str | None:
    """The file of a row of an innermost data set, where the data set tells."""
    if isinstance(dataset, ConcatDataset):
        part = bisect_right(dataset.cumulative_sizes, i)
        before = dataset.cumulative_sizes[part - 1] if part else 0
        inside = dataset.datasets[part]
        return path_of(innermost(inside), row_of(inside, i - before))
    try:
        if callable(getattr(dataset, "path", None)):
            found = dataset.path(i)
            return None if found is None else str(found)
        for name in PATHS:
            rows = getattr(dataset, name, None)
            if isinstance(rows, Sequence) and len(rows) == len(dataset):
                row = rows[i]
                row = row[0] if isinstance(row, tuple | list) else row
                return str(row) if isinstance(row, str) or hasattr(row, "__fspath__") else None
    except Exception:  # the user's code: a path is a courtesy, never a reason to stop
        return None
    return None


def tensors_of(data: Any) -> list[tuple[str, torch.Tensor]]:
    """Nested batch -> its (place, tensor) pairs, in order.

    >>> [place for place, _ in tensors_of((torch.zeros(1), {"y": torch.zeros(1)}))]
    ['0', '1.y']
    """
    if isinstance(data, torch.Tensor):
        return [("", data)]
    pairs: Any = ()
    if isinstance(data, dict):
        pairs = data.items()
    elif isinstance(data, tuple | list):
        pairs = enumerate(data)
    return [(f"{key}.{place}".rstrip("."), t) for key, value in pairs
            for place, t in tensors_of(value)]  # fmt: skip
