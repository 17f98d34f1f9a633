"""A part of a data set, encoded and held in memory; a sample is read when it is first asked for.

A folder of 200,000 pictures takes a minute to read. Reading them as the first epoch comes by lets
the training begin at once, and costs the same in all.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..core.seeds import untouched_rng
from ..data.sample import Batch, Sample
from ..data.source import Problem, SampleSet
from ..tasks.compute import at_once
from ..tasks.task import Task
from .ahead import Ahead

Tell = Callable[[int, Sequence[Problem]], None]  # index of a sample, what is wrong with it


class Held:
    """The samples of `part` as rows of one batch; `tell` hears once what is wrong with each,
    as it is read.

    Only evaluation asks for `targets`, which hold the masks of things at full size: a part that is
    trained on and not judged is held without.

    >>> from snellen.data.open import open_data
    >>> from snellen.tasks.classify import Classify
    >>> source = open_data("shapes")
    >>> held = Held(source.train, Classify.from_source(source))
    >>> len(held.select(torch.tensor([7, 3, 7]))), len(source.train) - held.missing
    (3, 2)
    """

    def __init__(
        self,
        part: SampleSet,
        task: Task,
        *,
        device: torch.device | None = None,
        tell: Tell | None = None,
        targets: bool = True,
        readers: int = 0,
    ) -> None:
        self.part, self.task, self.tell, self.targets = part, task, tell, targets
        self.device = device or torch.device("cpu")
        self.chunk = at_once(task.inputs())  # samples read and encoded at once
        self.ahead = Ahead(part, readers)
        self.missing = len(part)
        self._is_here_N = torch.zeros(len(part), dtype=torch.bool)
        self._rows: Batch | None = None

    def __len__(self) -> int:
        return len(self.part)

    def select(self, rows: Tensor) -> Batch:
        """The rows of a step, without targets; those that are missing are read."""
        return self._with(rows).select(rows)

    def expect(self, steps: Sequence[Tensor]) -> None:
        """Begin to read what is missing of the rows of coming steps."""
        if self.missing:
            for rows in steps:
                self.ahead.expect(rows[~self._is_here_N[rows]].tolist())

    def span(self, rows: range) -> Batch:
        """Rows that follow each other, with their targets where these are held."""
        places = torch.arange(rows.start, rows.stop)
        data = self._with(places)
        targets = None if data.targets is None else data.targets[rows.start : rows.stop]
        return replace(data.select(places), targets=targets)

    def read(self, seconds: float = math.inf) -> None:
        """Read ahead, from the first row on, for so long."""
        end = time.monotonic() + seconds
        for low in range(0, len(self), self.chunk):
            self._with(torch.arange(low, min(low + self.chunk, len(self))))
            if time.monotonic() > end:
                return

    def whole(self) -> Batch:
        """All rows."""
        return self._with(torch.arange(len(self)))

    def _with(self, rows: Tensor) -> Batch:
        """What is held, after the rows that are missing of these were read."""
        if self.missing:
            lacking = rows[~self._is_here_N[rows]].unique().tolist()
            # tensors that are born in inference mode could not be trained on
            with untouched_rng(), torch.inference_mode(False):
                for low in range(0, len(lacking), self.chunk):
                    self._read(lacking[low : low + self.chunk])
        assert self._rows is not None
        return self._rows

    def _read(self, rows: list[int]) -> None:
        samples = self.ahead.samples(rows)
        if self.tell is not None:
            for sample in samples:
                self.tell(sample.index, self.task.check(sample))
        chunk = encode(self.task, samples, targets=self.targets).to(self.device)
        if self._rows is None:
            self._rows = _room(chunk, len(self))
        _put(self._rows, chunk, rows)
        self._is_here_N[rows] = True
        self.missing -= len(rows)
        if not self.missing:
            self.ahead.close()


def encode(task: Task, samples: Sequence[Sample], *, targets: bool = True) -> Batch:
    """Samples -> batch, with what is true of them as the data set says it: metrics compare with
    that, so that an encoding that spoils its targets is seen.
    """
    return replace(task.encode(samples), targets=[s.target for s in samples] if targets else None)


def _room(chunk: Batch, count: int) -> Batch:
    """A batch of `count` empty rows of the kind of these."""

    def room(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Tensor):
            return value.new_empty((count, *value.shape[1:]))
        return [None] * count

    y = {name: room(value) for name, value in chunk.y.items()}
    rest = {name: room(getattr(chunk, name)) for name in ("sizes_B2", "targets", "extent_B4")}
    return Batch(room(chunk.x), y, torch.arange(count), **rest)


def _put(whole: Batch, chunk: Batch, rows: list[int]) -> None:
    """Write the rows of a chunk into their places."""
    fields = ("x", "sizes_B2", "targets", "extent_B4")
    pairs: list[tuple[Any, Any]] = [(getattr(whole, f), getattr(chunk, f)) for f in fields]
    for into, values in [*pairs, *((whole.y[name], chunk.y[name]) for name in chunk.y)]:
        if isinstance(into, Tensor):
            into[rows] = values
        elif into is not None:
            for row, value in zip(rows, values or (), strict=True):
                into[row] = value
