"""Pictures with boxes as pictures with attributes: which classes occur in each."""

from dataclasses import replace

import torch
from torch import Tensor

from .sample import Sample, Target
from .source import SampleSet


class Contains(SampleSet):
    """A set of boxes whose samples have `count` attributes: whether a thing of each class is there.

    A class of which only ignored things (crowds, difficult ones) are there is not known, NaN.
    """

    def __init__(self, whole: SampleSet, count: int) -> None:
        self.whole, self.count = whole, count
        self.repeatable = whole.repeatable

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        sample = self.whole[i]
        return replace(sample, target=self._with(sample.target))

    def target(self, i: int) -> Target | None:
        """What is true of sample i, attributes too."""
        target = self.whole.target(i)
        return None if target is None else self._with(target)

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.whole.path(i)

    def stacked(self) -> Tensor | None:
        """Images x_NCHW, unchanged."""
        return self.whole.stacked()

    def _with(self, target: Target) -> Target:
        return replace(target, attributes_A=occurring(target, self.count))


def occurring(target: Target, count: int) -> Tensor:
    """Target with labels -> attributes_A, 1 for each class that occurs.

    >>> occurring(Target(labels=torch.tensor([2, 2, 0])), 3)
    tensor([1., 0., 1.])
    """
    labels = torch.zeros(0, dtype=torch.int64) if target.labels is None else target.labels
    ignored = torch.zeros(len(labels), dtype=torch.bool)
    if target.ignored_N is not None:
        ignored = target.ignored_N.bool()
    attributes_A = torch.zeros(count)
    attributes_A[labels[ignored]] = torch.nan
    attributes_A[labels[~ignored]] = 1.0
    return attributes_A
