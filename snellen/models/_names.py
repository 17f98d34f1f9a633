"""The order of another library's layers, whatever the order of the file that they come from.

A family lists the names that torchvision and timm give to its layers, in the order of its own:

    "conv1 bn1 layer#.#.(conv# bn# downsample.#) fc"

`#` is a number, `@` a letter, `*` anything; numbers order themselves, words stand in the order of
the list, and what stands in brackets is ordered within what stands before them. So a name has its
place also in safetensors, which sort by the alphabet, and a name that is not listed is noticed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Order = list[tuple[re.Pattern[str], Any]]
Place = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Named:
    """Whose names these are, the list, and the columns that all networks of theirs have.

    A network with other values in those columns may have all of their tensors and still not be
    theirs, so it does not take their files. `published` holds those that only the networks of their
    published weights have: a file may be of another training, so it is taken, with a note.

    >>> Named("timm", "conv1 fc", {"act": "relu6"}).columns
    {'act': 'relu6'}
    """

    whose: str
    order: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)


PIECES = {"#": r"(\d+)", "@": r"([a-z])", "*": r"(.*)"}


def read(names: str) -> Order:
    """A list of names -> (pattern, what is ordered within it or None) in order."""
    order: Order = []
    for word, inner in re.findall(r"([^\s()]+)(?:\(([^()]*)\))?", names):
        pattern = "".join(PIECES.get(c, re.escape(c)) for c in word)
        order.append((re.compile(pattern), read(inner) if inner else None))
    return order


def place(order: Order, name: str) -> Place | None:
    """A layer's name -> what it is sorted by; None where it is not on the list.

    >>> order = read("conv1 layer#.(conv# skip) fc")
    >>> sorted(["fc", "layer1.skip", "layer1.conv10", "conv1", "layer1.conv9"],
    ...        key=lambda name: place(order, name))
    ['conv1', 'layer1.conv9', 'layer1.conv10', 'layer1.skip', 'fc']
    >>> place(order, "head")
    """
    for i, (pattern, inner) in enumerate(order):
        match = pattern.match(name) if inner else pattern.fullmatch(name)
        if match is None:
            continue
        here = ((0, i, ""), *(part for group in match.groups() for part in _parts(group)))
        rest = place(inner, name[match.end() :]) if inner else ()
        if rest is not None:
            return (*here, *rest)
    return None


def _parts(text: str) -> list[tuple[int, int, str]]:
    """Numbers before words, each by its own order: "2.conv10" -> 2, conv, 10."""
    found = re.findall(r"\d+|[^\d.]+", text)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in found]
