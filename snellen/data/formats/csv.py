"""A table of paths and labels (comma, semicolon or tab), perhaps with a column that says the part.

Paths count from the table's folder. A folder with labels.csv, or train.csv and val.csv, works too.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ..classes import number_labels
from ..sets import FileSet
from ..source import Format, Problem, Source
from ._folders import channels_of
from ._index import SUFFIXES, Table, index_file, read_table, resolve
from ._layout import layout
from ._parts import PARTS, join_parts, part_of


class Csv(Format):
    """A line a picture: path, label and perhaps train, val or test."""

    name = "csv"
    about = "a table (.csv, .tsv) with the columns path and label, perhaps split"

    def detect(self, path: Path) -> bool:
        """A table by its ending, or a folder whose table lists pictures that are there."""
        if path.is_file():
            return path.suffix.lower() in SUFFIXES
        return path.is_dir() and index_file(path) is not None and layout(path) is None

    def open(self, path: Path) -> Source:
        """Read the table; rows that cannot be used are listed with their line."""
        file = path if path.is_file() else index_file(path)
        assert file is not None
        listing = list_files(read_table(file))
        if path.is_dir() and file.stem == "train":
            for part in ("val", "test"):
                for beside in (path / f"{word}{file.suffix}" for word in PARTS[part]):
                    if beside.is_file():
                        more = list_files(read_table(beside))
                        listing.parts[part] = [r for rows in more.parts.values() for r in rows]
                        listing.problems += more.problems
        return _source(path, listing)

    def example(self, folder: Path) -> Path:
        """Six pictures of two classes, four to train on."""
        from PIL import Image

        lines = ["path,label,split"]
        for i in range(6):
            Image.new("L", (8, 8), 40 * i).save(folder / f"{i}.png")
            lines.append(f"{i}.png,{'dark' if i % 2 else 'light'},{'train' if i < 4 else 'val'}")
        (folder / "tiny.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder / "tiny.csv"


@dataclass
class Listing:
    """part -> [(file, label)], and the rows that could not be used."""

    parts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def list_files(table: Table) -> Listing:
    """Table -> Listing; raises DataError where no row names a file that is there."""
    folder, ending = resolve(table)
    listing, missing = Listing(), None
    labels: dict[str, str] = {}
    for line, row in table.rows:
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
        label = row[table.label]
        if labels.setdefault(str(file), label) != label:
            message = f"{row[table.path]!r} is labelled {labels[str(file)]!r} above and {label!r}"
            listing.problems.append(_problem(table, line, "label-conflict", message))
        part = part_of(row[table.part]) if table.part is not None else "train"
        listing.parts.setdefault(part or "train", []).append((str(file), label))
    if not listing.parts:
        raise DataError(
            f"{table.file}: none of its {len(table.rows)} rows can be used; the first: "
            + (f"{missing} is not there" if missing else listing.problems[0].message)
        )
    return listing


def _row_problem(table: Table, row: list[str]) -> str | None:
    if len(row) != table.width:
        return f"{len(row)} columns where {table.width} are wanted; the row is left out"
    if not row[table.path] or not row[table.label]:
        return "no path or no label; the row is left out"
    if table.part is not None and part_of(row[table.part]) is None:
        return f"{row[table.part]!r} is none of train, val, test; the row is left out"
    return None


def _problem(table: Table, line: int, id: str, message: str) -> Problem:
    return Problem(id, message, file=str(table.file), line=line, do="correct this line")


def _source(path: Path, listing: Listing) -> Source:
    every = [file for rows in listing.parts.values() for file, _ in rows]
    channels = channels_of(every)
    parts = {}
    for part, rows in listing.parts.items():
        values = _values([label for _, label in rows])
        labels, classes, problems = number_labels(values, None, str(path))
        files = FileSet([file for file, _ in rows], labels, channels)
        parts[part] = Source(str(path), "csv", files, classes, problems=problems)
    facts = {"images": len(every), "channels": channels}
    source = join_parts(str(path), "csv", parts)
    return replace(source, facts=facts, problems=(*listing.problems, *source.problems))


def _values(labels: list[str]) -> np.ndarray:
    """Words -> numbers where every one is a plain whole number."""
    values = np.array(labels)
    plain = all(label.lstrip("-").isdecimal() and str(int(label)) == label for label in labels)
    return values.astype(np.int64) if plain else values


FORMATS = {"csv": Csv()}
