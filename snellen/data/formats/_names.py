"""Class names of boxes: from a list where there is one, else as they appear; blanks and typos."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.errors import DataError, nearest
from ..boxes import Record
from ..source import Problem
from ._assemble import Listing
from ._judge import Notes
from ._text import decode_text, read_bytes

LISTS = ("classes.txt", "labels.txt", "labelmap.txt", "obj.names", "classes.names", "coco.names")
FEW, MANY = 3, 10  # so few boxes of a name that is nearly another's are a slip, if that has so many


@dataclass
class Classes:
    """Names and their numbers; `is_closed` where a list says which there are."""

    names: list[str] = field(default_factory=list)
    is_closed: bool = False
    problems: list[Problem] = field(default_factory=list)
    first: dict[str, tuple[str, int | None]] = field(default_factory=dict)  # name -> file, line
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = {name: i for i, name in enumerate(self.names)}

    def number(self, name: str, notes: Notes, line: int | None) -> int | None:
        """A name -> its number; None and a problem where there is no such class."""
        word = name.strip()
        if not word:
            notes.add("label-class-missing", "an object without a class; it is dropped", line)
            return None
        if word != name:
            message = f"the class {name!r} begins or ends with a blank; read as {word!r}"
            notes.add("class-name-blanks", message, line, harm="harmless")
        if word not in self.numbers:
            if self.is_closed:
                near = nearest(word, self.names, 1)
                hint = f"; {near[0]!r} was perhaps meant" if near else ""
                message = f"no class is called {word!r}{hint}; the box is dropped"
                notes.add("label-unknown-class", message, line, do="correct the name")
                return None
            self.numbers[word] = len(self.names)
            self.names.append(word)
        self.first.setdefault(word, (notes.file, line))
        return self.numbers[word]

    def numbered(self, listing: Listing) -> Listing:
        """A listing whose labels follow the sorted names, where no list gave their order."""
        if self.is_closed:
            return listing
        order = {name: i for i, name in enumerate(sorted(self.numbers))}
        self.names = sorted(self.numbers)
        table = {number: order[name] for name, number in self.numbers.items()}
        records = [
            replace(r, things=tuple(replace(t, label=table[t.label]) for t in r.things))
            for r in listing.records
        ]
        return Listing(records, listing.problems)


def class_list(root: Path, more: Sequence[str] = ()) -> Classes:
    """The names in classes.txt, labels.txt ... of a folder, one a line; else an open list."""
    file = next((root / word for word in (*LISTS, *more) if (root / word).is_file()), None)
    if file is None:
        return Classes()
    lines = decode_text(read_bytes(file), file).splitlines()
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        what = f"lists the class {twice[0]!r} twice" if names else "lists no class"
        raise DataError(f"{file} {what}; one name a line is wanted")
    return Classes(names, is_closed=True)


def typos(classes: Classes, parts: Sequence[Sequence[Record]]) -> Iterator[Problem]:
    """A few boxes whose class differs from a common one by a letter: kept, and said."""
    if classes.is_closed:
        return
    counts = Counter(t.label for records in parts for r in records for t in r.things)
    for rare, common in slips(classes.names, [counts[k] for k in range(len(classes.names))]):
        name, other = classes.names[rare], classes.names[common]
        file, line = classes.first[name]
        message = f"the class {name!r} ({counts[rare]} boxes) is perhaps a slip for "
        message += f"{other!r} ({counts[common]}); it is kept as a class of its own"
        do = f"call it {other!r}, or ignore this"
        yield Problem("label-class-slip", message, file=file, line=line, do=do)


def slips(names: Sequence[str], counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Class names and their counts -> (a rare class, the common one that was perhaps meant).

    >>> list(slips(["RBC", "RCB", "WBC"], [300, 1, 40]))
    [(1, 0)]
    """
    for rare, name in enumerate(names):
        for common, other in enumerate(names):
            is_few = 0 < counts[rare] <= FEW and counts[common] >= MANY * counts[rare]
            if is_few and is_slip(name, other):
                yield rare, common
                break


def is_slip(name: str, other: str) -> bool:
    """Whether two names differ by case, blanks, one letter or two neighbours changed places.

    >>> is_slip("RCB", "RBC"), is_slip("Dog", "dog"), is_slip("cat", "dog")
    (True, True, False)
    """
    a, b = ("".join(word.lower().split()) for word in (name, other))
    if a == b:
        return True
    if min(len(a), len(b)) < 3 or abs(len(a) - len(b)) > 1:
        return False
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return max(len(a), len(b)) <= 1 or (len(a) == 2 and a == b[::-1])
