"""The same classes under another order: labels of one data set in the numbers of another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..core.errors import DataError, shortlist
from .near import Near
from .sample import VOID, Sample, Target
from .source import Part, SampleSet

OF_THINGS = (
    "boxes_N4", "ignored_N", "areas_N", "masks_NHW", "keypoints_NK2", "visibility_NK",
    "identities_N",
)  # fmt: skip


class Relabelled(SampleSet):
    """A set (or some `rows` of it) whose label k is called new[k]; -1 (no class) stays -1."""

    def __init__(
        self, whole: SampleSet, new: Sequence[int], rows: Sequence[int] | None = None
    ) -> None:
        self.whole = whole if rows is None else Part(whole, rows)
        self.new = torch.tensor([*new, -1])  # index -1 is the last
        self.repeatable, self.reads_files = whole.repeatable, whole.reads_files

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, i: int) -> Sample:
        return self._renumbered(self.whole[i])

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """These samples, in the new numbers."""
        return [self._renumbered(sample) for sample in self.whole.samples(rows)]

    def _renumbered(self, sample: Sample) -> Sample:
        return replace(sample, target=renumber(sample.target, self.new))

    def labels(self) -> Tensor | None:
        """labels_N in the new numbers."""
        labels = self.whole.labels()
        return None if labels is None else self.new[labels]

    def target(self, i: int) -> Target | None:
        """What is true of sample i, in the new numbers."""
        target = self.whole.target(i)
        return None if target is None else renumber(target, self.new)

    def path(self, i: int) -> str | None:
        """The file of sample i."""
        return self.whole.path(i)

    def stacked(self) -> Tensor | None:
        """Images x_NCHW; only their labels differ."""
        return self.whole.stacked()

    def near(self, near: Near) -> "Relabelled":
        """The set so read, under the same numbers."""
        return Relabelled(self.whole.near(near), self.new[:-1].tolist())


def renumber(target: Target, new: Tensor) -> Target:
    """What is true, with class k called new[k] wherever classes are named; new[-1] is -1.

    A class whose new number is -1 is none: boxes and masks of it are left out, pixels are VOID.

    >>> renumber(Target(label=0), torch.tensor([2, 0, -1])).label
    2
    """
    changed: dict[str, Any] = {}
    if target.label is not None:
        changed["label"] = int(new[target.label])
    if target.semantic_HW is not None:
        inside = (target.semantic_HW >= 0) & (target.semantic_HW < len(new) - 1)
        map_HW = new[target.semantic_HW.long().where(inside, -1)]
        changed["semantic_HW"] = map_HW.masked_fill(map_HW < 0, VOID)
    if target.labels is not None:
        labels_N = new[target.labels]
        kept = labels_N >= 0
        rows = {name: value[kept] for name, value in target.given().items() if name in OF_THINGS}
        changed |= {**rows, "labels": labels_N[kept]}
    return replace(target, **changed)


def every_label(part: SampleSet) -> Tensor | None:
    """The classes of all samples, or of all their boxes; None where only reading tells.

    >>> from .boxes import BoxSet, Record, Thing
    >>> every_label(BoxSet([Record("a.png", (Thing(2, (0, 0, 1, 1)),))])).tolist()
    [2]
    """
    labels = part.labels()
    if labels is not None:
        return labels
    targets = [part.target(i) for i in range(len(part))]
    each = [t.labels for t in targets if t is not None and t.labels is not None]
    return torch.cat(each) if each else None


def in_order_of(
    part: SampleSet, have: Sequence[str], want: Sequence[str], first: int = 0
) -> SampleSet:
    """A part whose classes are `have` -> the same part with the numbers of `want`; where they are
    bare numbers, `first` is want[0].

    Raises DataError where something is of a class that the network does not know; a class that the
    data only name is no harm.
    """
    if list(have) == list(want):
        return part
    if set(have) <= set(want):
        return Relabelled(part, [list(want).index(name) for name in have])
    if all(name.isdecimal() and 0 <= int(name) - first < len(want) for name in have):
        return Relabelled(part, [int(name) - first for name in have])
    labels = every_label(part) if set(have) & set(want) else None
    used = set(have) if labels is None else {have[k] for k in labels.unique().tolist() if k >= 0}
    strange = sorted(used - set(want))
    if not strange:
        return Relabelled(part, [list(want).index(n) if n in want else -1 for n in have])
    raise DataError(
        f"the data has classes that the network does not know: {shortlist(strange)}; "
        f"it knows {shortlist(want)}"
    )
