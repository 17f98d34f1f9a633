"""Pictures as their own answers: for a task that spoils them itself, and asks nothing of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from .sample import Sample, Target
from .source import UNLABELLED, SampleSet, Source

ALONE = ("restore",)  # tasks that learn from pictures alone


class Pictures(SampleSet):
    """A set whose samples have their picture as the target, and nothing else.

    >>> from snellen.data.sets import ArraySet
    >>> import torch
    >>> one = Pictures(ArraySet(torch.zeros(3, 1, 8, 8), torch.arange(3)))[2]
    >>> one.target.label, one.target.image_CHW is one.image_CHW
    (None, True)
    """

    def __init__(self, whole: SampleSet) -> None:
        self.whole = whole
        self.repeatable, self.reads_files = whole.repeatable, whole.reads_files

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        return _as_answer(self.whole[i])

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """Some samples."""
        return [_as_answer(sample) for sample in self.whole.samples(rows)]

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.whole.path(i)

    def stacked(self) -> Tensor | None:
        """All images."""
        return self.whole.stacked()


def alone(source: Source) -> Source:
    """Data as pictures alone, whatever is said of them; that nothing is, is no problem then.

    >>> from .formats.digits import FORMATS
    >>> pictures = alone(FORMATS["digits"].open("digits"))
    >>> pictures.classes, pictures.train.labels()
    ((), None)
    """
    there = {part: getattr(source, part) for part in ("train", "val", "test")}
    parts: dict[str, Any] = {
        part: Pictures(found) for part, found in there.items() if found is not None
    }
    problems = tuple(problem for problem in source.problems if problem.id != UNLABELLED)
    return replace(source, classes=(), problems=problems, **parts)


def _as_answer(sample: Sample) -> Sample:
    return replace(sample, target=Target(image_CHW=sample.image_CHW))
