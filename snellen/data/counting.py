"""What the labels of torchvision's boxes count from: 1, for its 0 is the background, or 0 where a
label 0 is seen. All parts of a data set are read the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.errors import DataError
from .ground import is_ground
from .source import Problem

NUMBERING = "label-numbering"


@dataclass(frozen=True)
class Numbers:
    """The labels that a data set's boxes have, each with the item where it stands first; the
    names that the data set gives, perhaps with one of the ground.

    >>> Numbers("Pets", {1: 0, 2: 4}).classes(first=1)
    ('1', '2')
    """

    where: str
    items: Mapping[int, int]
    named: tuple[str, ...] = ()

    def classes(self, first: int) -> tuple[str, ...]:
        """Names of the classes; numbers where none are given."""
        if not self.named:
            return tuple(str(k) for k in range(first, max(self.items, default=-1) + 1))
        return self.named[1:] if first and is_ground(self.named[0]) else self.named

    def last(self) -> int | None:
        """The label that only fits the names where they are counted from 1; None if not there."""
        count = len(self.named)
        fits = bool(count) and not is_ground(self.named[0]) and max(self.items, default=0) == count
        return count if fits else None

    def place(self, label: int, part: str) -> str:
        """Where a label stands first, in words."""
        return f"{self.where}[{self.items[label]}]{f' of {part}' if part else ''} has label {label}"


@dataclass(frozen=True)
class Count:
    """The label that means the first class, and whether the data leave no other reading."""

    first: int
    is_settled: bool = True

    def note(self, numbers: Numbers) -> tuple[Problem, ...]:
        """What was taken for what."""
        classes, labels = numbers.classes(self.first), sorted(numbers.items)
        if not classes or not labels:
            return ()
        label = max(labels[0], self.first)
        text = f"{numbers.where}: labels of boxes are {labels[0]} to {labels[-1]}; "
        text += f"{label} is read as {classes[min(label - self.first, len(classes) - 1)]!r}"
        if self.is_settled or classes != numbers.named:
            return (Problem(NUMBERING, text, harm="harmless"),)
        text += ", counted from 1 as torchvision does; nothing here says that it is not from 0"
        do = "if it is from 0, give sn.Sample, whose labels always are"
        return (Problem(NUMBERING, text, harm="suspect", do=do),)


def count_of_all(parts: Mapping[str, Numbers], known: int | None = None) -> Count:
    """Parts by name, and what the network's own data count from -> what these do.

    Raises DataError, naming the items, where no one count fits all.

    >>> count_of_all({"train": Numbers("Pets", {1: 0, 2: 1}), "val": Numbers("Pets", {1: 0})}).first
    1
    """
    zero = next((n.place(0, part) for part, n in parts.items() if 0 in n.items), "")
    lasts = {part: n.last() for part, n in parts.items()}
    last = next((parts[p].place(k, p) for p, k in lasts.items() if k is not None), "")
    first = int(not zero) if known is None else known
    trained = f"the network was trained on labels that count from {first}"
    if first and zero:
        raise DataError(f"{zero}, and {trained}, 0 being the background; count these so too")
    if last and not first:
        why = f"{zero}, so that labels count from 0" if zero else trained
        raise DataError(f"{last}, the last of as many classes if counted from 1, and {why}; "
                        "count all from 1, as torchvision does, or all from 0")  # fmt: skip
    return Count(first, is_settled=known is not None or bool(zero or last))
