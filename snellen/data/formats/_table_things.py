"""Tables with a thing in each row: columns of a box, of key points, or of both."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.errors import DataError
from ..boxes import Box, Record, Thing, image_size
from ..sample import Skeleton
from ..source import Source
from ._assemble import Listing, assemble
from ._columns import number
from ._index import Table, resolve
from ._judge import Notes, finish, judge
from ._media import leaves
from ._names import Classes
from ._parts import part_of
from ._skeleton import mirror_of

CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"),
           ("x_min", "y_min", "x_max", "y_max"), ("left", "top", "right", "bottom"))  # fmt: skip
SIZES = (("x", "y", "w", "h"), ("x", "y", "width", "height"),
         ("bbox_x", "bbox_y", "bbox_w", "bbox_h"), ("xmin", "ymin", "width", "height"),
         ("left", "top", "width", "height"))  # fmt: skip
JOINT = re.compile(r"(.*?)[_ .]?([xyv])", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which columns are a box and which are joints; joints are (x, y, v) with v -1 for none."""

    box: tuple[int, ...] = ()
    is_size: bool = False  # the box's last two are its width and height
    joints: tuple[tuple[int, int, int], ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Table) -> "Columns | None":
        """A table's head -> its columns, None where it has neither box nor joints."""
        head = [word.lower().strip() for word in table.head]
        wide = next((names for names in SIZES if set(names) <= set(head)), ())
        corners = next((names for names in CORNERS if set(names) <= set(head)), ())
        box = tuple(head.index(name) for name in corners or wide)
        joints = _joints_of(table.head, {*box, table.path, table.label, table.part})
        if not box and not joints:
            return None
        return cls(box, bool(box) and not corners, tuple(joints.values()), tuple(joints))


def _joints_of(head: Sequence[str], taken: set[int | None]) -> dict[str, tuple[int, int, int]]:
    """Columns nose_x, nose_y, perhaps nose_v; or all the rest numbered 0, 1 ... as x, y, x, y."""
    rest = {i: word.strip() for i, word in enumerate(head) if i not in taken}
    if (
        len(rest) > 1
        and len(rest) % 2 == 0
        and list(rest.values()) == [*map(str, range(len(rest)))]
    ):
        places = list(rest)
        return {str(k): (places[2 * k], places[2 * k + 1], -1) for k in range(len(rest) // 2)}
    axes: dict[str, dict[str, int]] = {}
    for i, word in rest.items():
        match = JOINT.fullmatch(word)
        if match and match[1]:
            axes.setdefault(match[1], {})[match[2].lower()] = i
    return {name: (by["x"], by["y"], by.get("v", -1)) for name, by in axes.items()
            if {"x", "y"} <= set(by)}  # fmt: skip


def open_things(path: Path, tables: Mapping[str, Table], columns: Columns) -> Source:
    """Tables by part -> a source of boxes; rows that cannot be used are said with their line."""
    classes = Classes()
    parts: dict[str, Listing] = {}
    for part, table in tables.items():
        if table.head != tables["train"].head:
            raise DataError(f"{table.file} has the columns {', '.join(table.head)}; those of "
                            f"{tables['train'].file.name} are wanted")  # fmt: skip
        for picture in gather(table, columns, classes, part, parts):
            things = tuple(thing for thing in picture.things if thing is not None)
            record = Record(picture.file, things, _size(picture.file), str(table.file),
                            picture.line)  # fmt: skip
            done = finish(record, len(picture.things), picture.notes)
            parts.setdefault(picture.part, Listing()).take(done, picture.notes.found)
    numbered = {part: classes.numbered(listing) for part, listing in parts.items()}
    source = assemble(path, "csv", classes.names, numbered, classes.problems)
    if not columns.joints:
        return source
    return replace(source, skeleton=Skeleton(columns.names, mirror=mirror_of(columns.names)))


@dataclass
class Picture:
    """A picture while its rows are gathered; a thing that cannot be used is None."""

    file: str
    part: str
    line: int
    notes: Notes
    things: list[Thing | None] = field(default_factory=list)


def gather(
    table: Table, columns: Columns, classes: Classes, part: str, parts: dict[str, Listing]
) -> list[Picture]:
    """A table's rows -> its pictures with their things; rows of none become problems of `parts`."""
    folder, ending = resolve(table)
    found: dict[str, Picture] = {}
    for line, row in table.rows:
        notes = Notes(str(table.file))
        where, file = _row_place(table, row, folder, ending, part, notes, line)
        if file is None:
            parts.setdefault(where, Listing()).problems += notes.found
            continue
        picture = found.setdefault(file, Picture(file, where, line, Notes(str(table.file))))
        if columns.box and not any(row[i] for i in columns.box):
            continue  # a picture without a thing
        picture.things.append(_thing(row, table, columns, picture, classes, line))
    return list(found.values())


def _row_place(
    table: Table, row: Sequence[str], folder: Path, ending: str, part: str, notes: Notes, line: int
) -> tuple[str, str | None]:  # fmt: skip
    """A row -> (its part, its picture or None)."""
    if len(row) != table.width:
        message = f"{len(row)} columns where {table.width} are wanted; the row is left out"
        notes.add("row-incomplete", message, line, do="correct this line")
        return part, None
    word = row[table.path].replace("\\", "/")
    file = folder / (word + ending)
    own = part_of(row[table.part]) if table.part is not None else part
    if own is None:
        message = f"{row[table.part or 0]!r} is none of train, val, test; the row is left out"
        notes.add("row-incomplete", message, line)
    elif not word or leaves(word) or not file.is_file():
        id, why = ("path-outside", "lies outside the data set") if leaves(word) else (
            "file-missing", "is not there")  # fmt: skip
        notes.add(id, f"{word!r} {why}; the row is left out", line)
        return own, None
    return own or part, str(file) if own else None


def _thing(
    row: Sequence[str], table: Table, columns: Columns, picture: Picture, classes: Classes,
    line: int,
) -> Thing | None:  # fmt: skip
    """A row -> its thing, None where it cannot be used."""
    notes, size = picture.notes, _size(picture.file)
    joints = _joints(row, columns, notes, line)
    width, height = size or (1, 1)
    raw: Box | None = (0.0, 0.0, float(width), float(height))
    if columns.box:
        raw = _box([row[i] for i in columns.box], notes, line)
    if raw is None:
        return None
    x, y, u, v = raw
    kept, faults = judge((x, y, x + u, y + v) if columns.is_size else raw, size, raw)
    for id, message, harm in faults:
        notes.add(id, message, line, harm=harm, do="correct or remove the row")
    name = row[table.label] if table.label is not None else "object"
    label = classes.number(name, notes, line)
    if kept is None or label is None:
        return None
    return Thing(label, kept, line, keypoints=joints)


def _box(words: Sequence[str], notes: Notes, line: int) -> Box | None:
    try:
        x, y, u, v = (float(word) for word in words)
    except ValueError:
        message = f"a box of {list(words)} is no four numbers; it is dropped"
        notes.add("box-not-a-number", message, line)
        return None
    return x, y, u, v


def _joints(row: Sequence[str], columns: Columns, notes: Notes, line: int) -> tuple[float, ...]:
    """x, y, v of each joint; an empty cell is a joint that is not labelled."""
    found: list[float] = []
    for name, places in zip(columns.names, columns.joints, strict=True):
        x, y = (number(row[i]) for i in places[:2])
        seen = number(row[places[2]]) if places[2] >= 0 else 2.0
        if x is None or y is None or seen is None:
            notes.add("keypoints-broken", f"{name} is no number; it counts as not known", line)
        is_known = all(v is not None and math.isfinite(v) for v in (x, y, seen))
        found += [x or 0.0, y or 0.0, seen or 0.0] if is_known else [0.0, 0.0, 0.0]
    return tuple(found)


def _size(file: str) -> tuple[int, int] | None:
    try:
        return image_size(file)
    except DataError:
        return None  # the audit names the picture
