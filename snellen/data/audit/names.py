"""File names that other machines or tools stumble over; all are read right here."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..source import Problem
from ._album import Album

LONGEST = 180  # characters; some archives and systems stop at 255 bytes with the ending
RESERVED = set('<>:"|?*\\')  # Windows


def look(albums: Sequence[Album], classes: Sequence[str]) -> Iterator[Problem]:
    """Albums -> a harmless problem for each odd name, and for names that differ by case only."""
    for album in albums:
        alike = defaultdict(list)
        for row in range(len(album)):
            path = album.file(row)
            if path is None:
                break
            why = oddity(os.path.basename(path))
            if why:
                yield album.problem("file-odd-name", f"has a name that {why}", row, harm="harmless")
            alike[path.casefold()].append(row)
        for rows in alike.values():
            spelt = {album.file(row): row for row in rows}  # a table may name one file twice
            if len(spelt) > 1:
                rows = list(spelt.values())
                message = f"has the name of {album.called(rows[0])} but for capital letters"
                yield album.problem("file-names-alike", message, rows[1], harm="suspect",
                                    do="rename one: Windows and macOS keep only one")  # fmt: skip


def oddity(name: str) -> str:
    """Why a file's name is odd, or "".

    >>> oddity("a.jpg"), oddity("what?.jpg"), oddity(" a.jpg")
    ('', "holds '?', which Windows refuses", 'begins or ends with a blank')
    """
    stem = name.rpartition(".")[0]
    refused = next((sign for sign in name if sign in RESERVED), "")
    if any("\ud800" <= sign <= "\udfff" for sign in name):
        return "is not UTF-8"
    if not name.isprintable():
        return "holds a control character"
    if refused:
        return f"holds {refused!r}, which Windows refuses"
    if name != name.strip() or stem != stem.strip():
        return "begins or ends with a blank"
    return f"has {len(name)} characters" if len(name) > LONGEST else ""


AUDITS = {"names": look}
