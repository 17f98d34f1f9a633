"""A table of paths and labels (comma, semicolon or tab), perhaps with a column that says the part.

Paths count from the table's folder. A folder with labels.csv works too, or with train.csv and
val.csv, or with train/ and validation/ that have a metadata.csv each.
Columns of 0 and 1 are attributes (task=tag), columns of other numbers values (task=regress);
x1, y1, x2, y2 (xmin .. ymax; x, y, w, h) a box a row, nose_x, nose_y, nose_v ... its key points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ...core.errors import DataError
from ..classes import number_labels
from ..sets import FileSet
from ..source import Format, Problem, Source
from ._columns import Column, column_of, oddity, split_kinds, table_of
from ._folders import channels_of
from ._index import SUFFIXES, Table, blank_labels, index_files, read_table, resolve
from ._layout import layout
from ._parts import join_parts, part_of
from ._table_things import Columns, open_things
from ._text import oddities

SIGNS = ("label-bom", "label-crlf")  # commas and blanks around them are a table's own


class Csv(Format):
    """A line a picture: path, label and perhaps train, val or test."""

    name = "csv"
    about = "a table (.csv, .tsv): path and label, or columns of numbers; perhaps split"

    def detect(self, path: Path) -> bool:
        """A table by its ending, or a folder whose table lists pictures that are there."""
        if path.is_file():
            return path.suffix.lower() in SUFFIXES
        return path.is_dir() and bool(index_files(path)) and layout(path) is None

    def open(self, path: Path) -> Source:
        """Read the table; rows that cannot be used are listed with their line."""
        tables = _tables(path)
        things = Columns.of(tables["train"])
        if things and things.box:
            return open_things(path, tables, things)
        listing = list_files(tables.pop("train"))
        for part, table in tables.items():
            more = list_files(table)
            listing.parts[part] = [r for rows in more.parts.values() for r in rows]
            listing.columns[part] = more.columns["train"]
            listing.problems += more.problems
        source = source_of(path, listing)
        if things is None:
            return source
        return replace(source, variants={**source.variants, "pose": partial(_posed, path)})

    def example(self, folder: Path) -> Path:
        """Six pictures of two classes, four to train on."""
        from PIL import Image

        lines = ["path,label,split"]
        for i in range(6):
            Image.new("L", (8, 8), 40 * i).save(folder / f"{i}.png")
            lines.append(f"{i}.png,{'dark' if i % 2 else 'light'},{'train' if i < 4 else 'val'}")
        (folder / "tiny.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder / "tiny.csv"


def _tables(path: Path) -> dict[str, Table]:
    """{part: table} of a file or a folder; raises DataError where none is to train on."""
    files = {"train": path} if path.is_file() else index_files(path)
    if "train" not in files:
        raise DataError(f"{path} has tables for {' and '.join(files)} but none for train")
    return {part: read_table(file) for part, file in files.items()}


def _posed(path: Path) -> Source:
    """The table's columns of key points as things, one a row, each as large as its picture."""
    tables = _tables(path)
    things = Columns.of(tables["train"])
    assert things is not None
    return open_things(path, tables, things)


class Row(NamedTuple):
    """A picture: its file, its label ("" where the table has none), its row in the columns."""

    file: str
    label: str
    number: int


@dataclass
class Listing:
    """part -> its rows and the columns that they count in, and what could not be used."""

    label: str | None  # the label column's name
    has_labels: bool
    parts: dict[str, list[Row]] = field(default_factory=dict)
    columns: dict[str, list[Column]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def list_files(table: Table) -> Listing:
    """Table -> Listing; raises DataError where no row names a file that is there."""
    folder, ending = resolve(table)
    name = None if table.label is None or not table.head else table.head[table.label]
    listing, missing = Listing(name, table.label is not None), None
    columns = _columns(table, listing)
    labels: dict[str, str] = {}
    listing.problems += _oddities(table)
    for number, (line, row) in enumerate(table.rows):
        wrong = _row_problem(table, row)
        if wrong:
            listing.problems.append(_problem(table, line, "row-incomplete", wrong))
            continue
        file = folder / (row[table.path].replace("\\", "/") + ending)
        if not file.is_file():
            missing = missing or file
            message = f"{row[table.path]!r} is not there; the row is left out"
            listing.problems.append(_problem(table, line, "file-missing", message))
            continue
        label = "" if table.label is None else row[table.label]
        if labels.setdefault(str(file), label) != label:
            message = f"{row[table.path]!r} is labelled {labels[str(file)]!r} above and {label!r}"
            listing.problems.append(_problem(table, line, "label-conflict", message))
        part = part_of(row[table.part]) if table.part is not None else "train"
        listing.parts.setdefault(part or "train", []).append(Row(str(file), label, number))
    if not listing.parts:
        unlabelled = "" if name else f"; of its columns {', '.join(table.head)} none is a label"
        raise DataError(
            f"{table.file}: none of its {len(table.rows)} rows can be used; the first: "
            + (f"{missing} is not there" if missing else listing.problems[0].message)
            + (unlabelled if table.label is None else "")
        )
    listing.columns = dict.fromkeys(listing.parts, columns)
    return listing


def _oddities(table: Table) -> list[Problem]:
    """What is unusual about the file and its labels, and read right all the same."""
    found = [p for p in oddities(table.file.read_bytes(), table.file) if p.id in SIGNS]
    if blanks := blank_labels(table):
        line, cell = blanks[0]
        message = (f"{len(blanks)} label{'s' * (len(blanks) != 1)} with a blank at the end,"
                   f" {cell!r} first; read as {cell.strip()!r}")  # fmt: skip
        found.append(Problem("class-name-blanks", message, "harmless", str(table.file), line))
    return found


def _columns(table: Table, listing: Listing) -> list[Column]:
    """The columns of numbers; cells that are none are said with their line."""
    found = []
    for i, name in enumerate(table.head):
        if i in (table.path, table.part):
            continue
        words = [row[i] if len(row) > i else "" for _, row in table.rows]
        if (text := oddity(name, words)) and i != table.label:
            listing.problems.append(_oddity_of(table, text))
        column = column_of(name, words)
        if column is None:
            continue
        found.append(column)
        for slip in column.slips:
            line, row = table.rows[slip]
            message = f"{name} is {row[i]!r}, no number; it counts as not known"
            listing.problems.append(_problem(table, line, "value-not-a-number", message))
    return found


def _oddity_of(table: Table, text: str) -> Problem:
    """A column that nothing is learned from: left out, or the same in every row."""
    if text.endswith("not read"):
        do = "nine cells of ten must be numbers; leave the others empty"
        return Problem("value-not-a-number", text, "suspect", str(table.file), do=do)
    do = "nothing can be learned from it; leave the column out"
    return Problem("value-constant", text, "harmless", str(table.file), do=do)


def _row_problem(table: Table, row: list[str]) -> str | None:
    if len(row) != table.width:
        return f"{len(row)} columns where {table.width} are wanted; the row is left out"
    if not row[table.path] or (table.label is not None and not row[table.label]):
        return "no path or no label; the row is left out"
    if table.part is not None and part_of(row[table.part]) is None:
        return f"{row[table.part]!r} is none of train, val, test; the row is left out"
    return None


def _problem(table: Table, line: int, id: str, message: str) -> Problem:
    return Problem(id, message, file=str(table.file), line=line, do="correct this line")


def source_of(path: Path, listing: Listing, task: str = "") -> Source:
    """Listing -> Source for a task: "tag" sees attributes, "regress" values, others labels."""
    every = [row.file for rows in listing.parts.values() for row in rows]
    channels = channels_of(every)
    attributes, values = split_kinds(listing.columns.get("train", []), listing.label)
    names = {"tag": attributes, "regress": values}.get(task, ())
    parts = {}
    for part, rows in listing.parts.items():
        told = _labels(rows, listing.has_labels, str(path))
        if task:
            told = _numbers(rows, listing.columns[part], names, task, f"{path}, part {part}")
        files = FileSet([row.file for row in rows], told.labels_N, channels,
                        attributes_NA=told.attributes_NA, values_NV=told.values_NV)  # fmt: skip
        parts[part] = Source(str(path), "csv", files, told.classes, problems=told.problems)
    counts = {"attributes": len(attributes), "values": len(values)}
    facts = {"images": len(every), "channels": channels, **{k: n for k, n in counts.items() if n}}
    source = join_parts(str(path), "csv", parts)
    variants = {t: partial(source_of, path, listing, t) for t in ("tag", "regress")}
    return replace(
        source, facts=facts, problems=(*listing.problems, *source.problems),
        attributes=attributes, values=values, variants={} if task else variants,
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What the rows of one part say."""

    labels_N: Tensor | None = None
    attributes_NA: Tensor | None = None
    values_NV: Tensor | None = None
    classes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def _labels(rows: Sequence[Row], has_labels: bool, where: str) -> Told:
    if not has_labels:
        return Told()
    words = _values([row.label for row in rows])
    labels_N, classes, problems = number_labels(words, None, where)
    return Told(labels_N, classes=classes, problems=problems)


def _numbers(
    rows: Sequence[Row], columns: Sequence[Column], names: Sequence[str], task: str, where: str
) -> Told:
    numbers = [row.number for row in rows]
    try:
        table = table_of(columns, names, numbers, task == "tag")
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return Told(attributes_NA=table) if task == "tag" else Told(values_NV=table)


def _values(labels: list[str]) -> np.ndarray:
    """Words -> numbers where every one is a plain whole number."""
    values = np.array(labels)
    plain = all(label.lstrip("-").isdecimal() and str(int(label)) == label for label in labels)
    return values.astype(np.int64) if plain else values


FORMATS = {"csv": Csv()}
