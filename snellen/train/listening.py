"""What the doctor is told of Snellen's own training: the data set as items, rows by position."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, Subset

from ..data.sample import Batch
from ..data.samples import GivenSamples
from ..data.sets import DatasetSet
from ..data.source import Part, SampleSet
from ..doctor.loader import row_of
from ..tasks.compute import at_once
from ..tasks.task import Task


class Items(Dataset[tuple[Tensor, Any]]):
    """A sample set as the network meets it: (x_CHW normalised, y), for replays and scans."""

    def __init__(self, samples: SampleSet, task: Task) -> None:
        self.samples, self.task = samples, task

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.__getitems__([i])[0]

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, Any]]:
        """Some at once, as torch's loaders ask for a batch; few large pictures are held."""
        size, found = at_once(self.task.inputs()), list[tuple[Tensor, Any]]()
        for low in range(0, len(rows), size):
            batch = self.task.encode(self.samples.samples(rows[low : low + size]))
            x = self.task.inputs().prepare(batch.x)
            for k in range(len(batch)):
                y = {name: value[k] for name, value in batch.y.items()}
                found.append((x[k], next(iter(y.values())) if len(y) == 1 else y))
        return found

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.samples.path(i)


class Prepared:
    """What lies in memory as the network takes it, by places: nothing is read again."""

    def __init__(self, held: Batch, task: Task) -> None:
        self.held, self.task = held, task

    def __getitem__(self, places: Tensor) -> Tensor:
        x = self.held.x[places]
        return x if self.held.is_ready else self.task.inputs().prepare(x)


class Inside(Dataset[tuple[Tensor, Any]]):
    """The user's innermost data set, as far as a subset of it is trained on."""

    def __init__(self, items: Items, rows: Sequence[int]) -> None:
        self.items, self.at = items, {row: i for i, row in enumerate(rows)}

    def __len__(self) -> int:
        return max(self.at) + 1

    def __getitem__(self, row: int) -> tuple[Tensor, Any]:
        return self.items[self.at[row]]

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, Any]]:
        return self.items.__getitems__([self.at[row] for row in rows])

    def path(self, row: int) -> str | None:
        """The file of a row."""
        return self.items.path(self.at[row])


def items(part: SampleSet, task: Task) -> Dataset[Any]:
    """A part as the doctor unwinds it: subsets of the innermost set."""
    if isinstance(part, Part):
        return Subset(items(part.whole, task), part.rows)
    whole = Items(part, task)
    if isinstance(part, DatasetSet | GivenSamples):
        rows = [row_of(part.dataset, i) for i in range(len(part))]
        if rows != list(range(len(part))):
            return Subset(Inside(whole, rows), rows)
    return whole
