"""Deals a data set into steps: the same batches for the same (seed, epoch, step), always.

That is what lets a training be resumed in the middle of an epoch bit for bit: the order is a pure
function of seed and epoch, and what a sample's own randomness draws is one of seed, epoch and row.
A batch's `index_B` are positions in the part that is fed.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..core.seeds import untouched_rng
from ..data.sample import Batch, Sample
from ..data.source import Problem, SampleSet
from ..tasks.compute import at_once
from ..tasks.task import Task
from .ahead import Ahead
from .held import Held, Tell, encode

Found = Sequence[tuple[int, int, Sequence[Problem]]]  # row, index of its sample, what is wrong
AHEAD = 2  # steps whose files are read while one computes


class Feed(ABC):
    """Batches of one part of a data set, an epoch at a time."""

    def __init__(self, num_samples: int, batch: int, task: Task) -> None:
        self.num_samples, self.batch = num_samples, batch
        self.at_once = at_once(task.inputs(), batch)
        self.steps = max(1, -(-num_samples // batch))

    @abstractmethod
    def epoch(self, epoch: int, seed: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on, shuffled."""

    @abstractmethod
    def in_order(self) -> Iterator[Batch]:
        """Every sample once, in order: for evaluation."""

    @abstractmethod
    def pick(self, steps: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """The batches of the rows that are given."""

    def drawn(self, most: int) -> Iterator[Batch]:
        """A fair part of the set in at most `most` batches, the same each time.

        All of it in order where that is enough; else rows drawn with a fixed seed: a folder that
        is sorted by class has only its first classes at its beginning.
        """
        slices = self.slices()
        if len(slices) <= most:
            return self.in_order()
        rows = order(self.num_samples, seed=0, epoch=0).tolist()
        return self.pick([rows[part.start : part.stop] for part in slices[:most]])

    def rows(self, epoch: int, seed: int) -> Sequence[Tensor]:
        """The rows of each step: nothing dropped, sizes that differ by one at most.

        1,437 samples in batches of at most 64 are 23 steps of 62 or 63: no runt at the end, on
        which batch norm would see one sample.
        """
        return torch.tensor_split(order(self.num_samples, seed, epoch), self.steps)

    def slices(self) -> list[range]:
        """The rows of each batch of `in_order`: the same for every kind of feed."""
        size, count = self.at_once, self.num_samples
        return [range(low, min(low + size, count)) for low in range(0, count, size)]


class Resident(Feed):
    """The part held in memory, encoded; a step is one gather."""

    def __init__(self, held: Held, batch: int) -> None:
        super().__init__(len(held), batch, held.task)
        self.held = held

    def epoch(self, epoch: int, seed: int, start: int = 0) -> Iterator[Batch]:
        """Gathered by row; what is still to be read is read a little ahead."""
        steps = self.rows(epoch, seed)[start:]
        for i, rows in enumerate(steps):
            self.held.expect(steps[i : i + 1 + AHEAD])
            yield self.held.select(rows)

    def in_order(self) -> Iterator[Batch]:
        """Spans."""
        return (self.held.span(rows) for rows in self.slices())

    def pick(self, steps: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Gathered by row."""
        return (self.held.select(torch.tensor(rows)) for rows in steps)


class Streamed(Feed):
    """Samples read as they are needed, by worker processes where wanted; files by threads. `tell`
    hears once what is wrong with each, in this process.
    """

    def __init__(
        self,
        part: SampleSet,
        task: Task,
        batch: int,
        workers: int,
        *,
        readers: int = 0,
        tell: Tell | None = None,
    ) -> None:
        super().__init__(len(part), batch, task)
        self.part, self.task, self.workers, self.tell = part, task, workers, tell
        self.readers = readers if part.reads_files else 0
        self._untold = set(range(len(part) if tell else 0))

    def epoch(self, epoch: int, seed: int, start: int = 0) -> Iterator[Batch]:
        """Read by row; the randomness inside the data set is seeded by (seed, epoch, row)."""
        steps = [rows.tolist() for rows in self.rows(epoch, seed)[start:]]
        return self._read(steps, (seed, epoch))

    def in_order(self) -> Iterator[Batch]:
        """Read from first to last."""
        return self._read([list(rows) for rows in self.slices()], (0, 0))

    def pick(self, steps: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Read by row."""
        return self._read([list(rows) for rows in steps], (0, 0))

    def _read(self, steps: list[list[int]], seeds: tuple[int, int]) -> Iterator[Batch]:
        of_files = self.part.reads_files and not self.workers
        read = self._of_files(steps) if self.readers or of_files else self._of_any(steps, seeds)
        for batch, found in read:
            self._hear(found)
            yield batch

    def _hear(self, found: Found) -> None:
        """Tell what was found in the samples that were not read before."""
        for row, index, problems in found:
            if self.tell and row in self._untold:
                self._untold.discard(row)
                self.tell(index, problems)

    def _of_files(self, steps: list[list[int]]) -> Iterator[tuple[Batch, Found]]:
        ahead = Ahead(self.part, self.readers)
        try:
            for i, rows in enumerate(steps):
                for coming in steps[i : i + 1 + AHEAD]:
                    ahead.expect(coming)
                pairs = zip(rows, ahead.samples(rows), strict=True)
                yield _ready(self.task, bool(self._untold), [*pairs])
        finally:
            ahead.close()

    def _of_any(
        self, steps: list[list[int]], seeds: tuple[int, int]
    ) -> Iterator[tuple[Batch, Found]]:
        with untouched_rng():  # the loader draws a base seed; the training must not notice
            loader: DataLoader[Any] = DataLoader(
                _Indexed(self.part) if self.part.repeatable else _Seeded(self.part, seeds),
                batch_sampler=steps,
                num_workers=self.workers,
                collate_fn=partial(_ready, self.task, bool(self._untold)),
            )
            batches = iter(loader)
        yield from batches


def _ready(task: Task, asked: bool, rows: Sequence[tuple[int, Sample]]) -> tuple[Batch, Found]:
    """Positions and samples -> their batch, and where asked what is wrong with each."""
    found = [(row, s.index, task.check(s)) for row, s in rows] if asked else []
    batch = encode(task, [sample for _, sample in rows])
    return replace(batch, index_B=torch.tensor([row for row, _ in rows])), found


class _Indexed(Dataset[tuple[int, Sample]]):
    """A sample set whose samples come with their positions."""

    def __init__(self, part: SampleSet) -> None:
        self.part = part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, i: int) -> tuple[int, Sample]:
        return i, self.part[i]

    def __getitems__(self, rows: list[int]) -> list[tuple[int, Sample]]:
        return list(zip(rows, self.part.samples(rows), strict=True))


class _Seeded(Dataset[tuple[int, Sample]]):
    """A sample set whose own randomness depends on (seed, epoch, row) and on nothing else."""

    def __init__(self, part: SampleSet, seeds: tuple[int, int]) -> None:
        self.part, self.seeds = part, seeds

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, i: int) -> tuple[int, Sample]:
        with untouched_rng():
            seed = mix(*self.seeds, i)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            return i, self.part[i]


def order(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..count-1 that depends on nothing but its arguments."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, epoch)))


def mix(*numbers: int) -> int:
    """Several small integers -> one well-spread 63-bit seed (splitmix64).

    >>> mix(0, 1) != mix(1, 0)
    True
    """
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    return state % 2**63
