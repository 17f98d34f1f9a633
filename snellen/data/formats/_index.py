"""Reading tables of pictures and labels: encoding, delimiter, header and where the files lie."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError
from ..images import is_image_name
from ._columns import column_of
from ._folders import any_image, subfolders
from ._parts import PARTS, by_part, part_of

TABLES = ("labels", "boxes", "train", "index", "annotations", "data", "metadata")
SUFFIXES = (".csv", ".tsv")
DELIMITERS = (",", ";", "\t", "|")
PATH_WORDS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image",
              "image_path", "img", "img_path", "image_name", "name", "id", "image_id")  # fmt: skip
LABEL_WORDS = ("label", "labels", "class", "class_name", "target", "category", "y")
PART_WORDS = ("split", "set", "subset", "part", "fold", "partition")
ENDINGS = ("", ".jpg", ".png", ".jpeg", ".JPG", ".webp")  # Kaggle's tables leave them out


@dataclass(frozen=True)
class Table:
    """The rows of a table with their line numbers, and which columns say what."""

    file: Path
    rows: tuple[tuple[int, list[str]], ...]
    path: int
    label: int | None  # None where other columns say what is true
    part: int | None
    width: int
    head: tuple[str, ...] = ()  # names of the columns as they are written


def read_table(file: Path) -> Table:
    """A text file -> Table; raises DataError with the line that cannot be read."""
    rows = _rows(file)
    if not rows:
        raise DataError(f"{file} is empty; a line `path,label` for each picture is wanted")
    line, first = rows[0]
    if len(first) < 2:
        raise DataError(
            f"{file} line {line} has one column, {first[0][:40]!r}; path and label are wanted"
        )
    header = [cell.lower().strip() for cell in first]
    if any(is_image_name(cell) for cell in first) or not _known(header):
        return _without_header(file, rows)
    if len(rows) == 1:
        raise DataError(f"{file} has a header and no rows; a line for each picture is wanted")
    return _with_header(file, first, rows[1:])


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    """[(line number, cells)] of the lines that hold anything, by the likeliest delimiter."""
    return [(line, [cell.strip() for cell in row]) for line, row in _raw_rows(file)]


def _raw_rows(file: Path) -> list[tuple[int, list[str]]]:
    text = decode(file)
    sign = max(DELIMITERS, key=_first_line(text).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(f"{file} line {reader.line_num} is no row of a table: {error}") from error


def blank_labels(table: Table) -> list[tuple[int, str]]:
    """(line, cell) of the labels that end with a blank; after a delimiter one is usual."""
    lines, label = {line for line, _ in table.rows}, table.label
    if label is None:
        return []
    cells = [(line, row[label]) for line, row in _raw_rows(table.file) if len(row) > label]
    return [(line, cell) for line, cell in cells if line in lines and cell.rstrip() != cell]


def _with_header(file: Path, head: list[str], rows: list[tuple[int, list[str]]]) -> Table:
    header = [cell.lower() for cell in head]
    path, label, part = (_find(header, words) for words in (PATH_WORDS, LABEL_WORDS, PART_WORDS))
    if path is None:
        path = next((i for i, cell in enumerate(rows[0][1]) if is_image_name(cell)), None)
    if label is None:
        others = [i for i in range(len(header)) if i not in (path, part)]
        label = others[0] if len(others) == 1 else None
    others = [i for i in range(len(header)) if i not in (path, part)]
    if path is None or (label is None and not any(_is_number(rows, i) for i in others)):
        missing = "path" if path is None else "label"
        raise DataError(
            f"{file} has the columns {', '.join(header)}, none of them {missing}; name one so"
        )
    return Table(file, tuple(rows), path, label, part, len(header), tuple(head))


def _is_number(rows: list[tuple[int, list[str]]], column: int, looks: int = 100) -> bool:
    """Whether a column holds numbers, by its first rows."""
    words = [row[column] for _, row in rows[:looks] if len(row) > column]
    return column_of("", words) is not None


def decode(file: Path) -> str:
    """A text file in UTF-8, with or without its mark, or in UTF-16 with it -> text."""
    data = file.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{file} line {line} is not UTF-8 text; save the table as UTF-8") from error


def resolve(table: Table) -> tuple[Path, str]:
    """(folder, ending) that turn the table's paths into files, judged by its first rows."""
    base = table.file.parent
    for _, row in table.rows[:20]:
        word = row[table.path].replace("\\", "/") if len(row) > table.path else ""
        for folder in (base, base / table.file.stem, base / "images", base / "train"):
            for ending in ENDINGS:
                if word and (folder / (word + ending)).is_file():
                    return folder, ending
    return base, ""


def index_table(folder: Path) -> Table | None:
    """The table at the root of a folder that lists pictures which are there, or None."""
    files = (folder / (name + suffix) for name in TABLES for suffix in SUFFIXES)
    tables = (table_of_pictures(file) for file in files if file.is_file())
    return next((table for table in tables if table is not None), None)


def index_files(folder: Path) -> dict[str, Path]:
    """{part: table} of a folder, empty where no table lists its pictures: labels.csv; train.csv
    with val.csv and test.csv; or, as Hugging Face has it, a table in each of train/, test/ ...
    """
    table = index_table(folder)
    if table is None:
        return _tables_of_parts(folder)
    own = table.file
    if own.stem != "train":
        return {"train": own}
    tables = {part: [folder / f"{word}{own.suffix}" for word in PARTS[part]] for part in PARTS}
    return {part: table for part, each in tables.items() for table in each[::-1] if table.is_file()}


def _tables_of_parts(root: Path) -> dict[str, Path]:
    """The tables in folders for parts; none where folders of classes lie in a part without one, or
    with one that calls no column a label.
    """
    tables: dict[Path, Path] = {}
    for folder in filter(lambda one: part_of(one.name), subfolders(root)):
        table = index_table(folder)
        if table is not None and (_calls_labels(table) or len(_folders_of(table)) < 2):
            tables[folder] = table.file
        elif any(any_image(inner, 4) for inner in subfolders(folder)):
            return {}
    return {part: tables[folder] for part, folder in by_part(tables).items()}


def _calls_labels(table: Table) -> bool:
    """Whether a column is called a label; one that is merely the only other may be anything."""
    return _find([cell.lower() for cell in table.head], LABEL_WORDS) is not None


def _folders_of(table: Table) -> set[str]:
    """The folders beside a table in which its pictures lie, or in folders below."""
    words = (row[table.path].replace("\\", "/") for _, row in table.rows if len(row) > table.path)
    return {word.split("/")[0] for word in (w.removeprefix("./") for w in words) if "/" in word}


def table_of_pictures(file: Path) -> Table | None:
    """A file -> its table if the first rows name pictures that are there, else None."""
    try:
        table = read_table(file)
    except DataError:
        return None
    folder, ending = resolve(table)
    is_there = any(len(row) > table.path and (folder / (row[table.path] + ending)).is_file()
                   for _, row in table.rows[:20])  # fmt: skip
    return table if is_there else None


def _without_header(file: Path, rows: list[tuple[int, list[str]]]) -> Table:
    first = rows[0][1]
    paths = [i for i, cell in enumerate(first) if is_image_name(cell)] or [0]
    others = [i for i in range(len(first)) if i != paths[0]]
    if len(others) != 1:
        raise DataError(
            f"{file} has {len(first)} columns and no header; "
            "give it a first line that names path and label"
        )
    return Table(file, tuple(rows), paths[0], others[0], None, len(first))


def _known(header: list[str]) -> bool:
    return any(cell in (*PATH_WORDS, *LABEL_WORDS, *PART_WORDS) for cell in header)


def _find(header: list[str], words: tuple[str, ...]) -> int | None:
    return next((header.index(word) for word in words if word in header), None)


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")
