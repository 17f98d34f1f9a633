"""The event log as it grows: each look reads on where the last one ended."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from .runs import parsed

MOST = 16 * 2**20  # bytes of one look


class News(NamedTuple):
    """Whole events since a place, and the place where the next look begins.

    `anew`: the log is not the one of that place (a resume writes it again), so all is told from
    its beginning. `more`: there is more than one look may read. `damaged`: lines that are no
    events; they are left out.
    """

    events: list[dict[str, Any]]
    place: str
    anew: bool
    more: bool
    damaged: int


def follow(path: Path, place: str = "", kinds: Collection[str] = (), most: int = MOST) -> News:
    """The events of those kinds after `place`, all kinds where none is named; "" is the beginning.

    Half a line at the end waits for its other half. Raises OSError where there is no log.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = Path(folder, "events.jsonl")
    ...     _ = log.write_text('{"kind": "note", "text": "one"}\\n{"kind": "no')
    ...     first = follow(log)
    ...     _ = log.write_text(log.read_text() + 'te", "text": "two"}\\n')
    ...     [first.events[0]["text"], follow(log, first.place).events[0]["text"]]
    ['one', 'two']
    """
    with open(path, "rb") as file:
        state = os.fstat(file.fileno())
        inode, _, at = place.partition("-")
        is_same = inode == str(state.st_ino) and at.isdecimal() and int(at) <= state.st_size
        begin = int(at) if is_same else 0
        file.seek(begin)
        text = file.read(most)
        while (end := text.rfind(b"\n") + 1) == 0 and (longer := file.read(most)):
            text += longer
    words = [f'"{kind}"'.encode() for kind in kinds]
    lines = [line for line in text[:end].split(b"\n") if line.strip()]
    # A line's kind stands at its beginning: most lines, a layer's numbers, are not read at all.
    wanted = [line for line in lines if not words or any(word in line[:40] for word in words)]
    events = [event for line in wanted if (event := parsed(line))]
    events_of_kind = [event for event in events if not kinds or event.get("kind") in kinds]
    place = f"{state.st_ino}-{begin + end}"
    more = begin + len(text) < state.st_size
    return News(events_of_kind, place, not is_same, more, len(wanted) - len(events))
