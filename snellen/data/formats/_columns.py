"""Columns of a table that hold numbers: attributes (0 and 1) to be tagged, values to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf, nan

from torch import Tensor, tensor

from ...core.errors import DataError, shortlist

YES_NO = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
UNKNOWN = ("", "nan", "na", "n/a", "null", "none", "?")
SLIPS = 10  # one cell of so many may be no number


@dataclass(frozen=True)
class Column:
    """A column of numbers, a cell for each row: NaN where none is given. `slips` are rows whose
    cell is something else.
    """

    name: str
    cells: tuple[float, ...]
    slips: tuple[int, ...] = ()

    @property
    def is_binary(self) -> bool:
        """Whether it says yes and no: 0 and 1, -1 and 1, or the words."""
        kinds = {v for v in self.cells if v == v}
        return bool(kinds) and (kinds <= {0.0, 1.0} or kinds == {-1.0, 1.0})

    def attributes(self) -> list[float]:
        """The cells as 0, 1 and NaN."""
        return [v if v != v else float(v > 0) for v in self.cells]


def column_of(name: str, words: Sequence[str]) -> Column | None:
    """Cells as they stand -> Column, or None where they are not numbers.

    >>> column_of("age", ["7", "", "9.5"]).cells
    (7.0, nan, 9.5)
    >>> column_of("kind", ["cat", "dog"]) is None
    True
    """
    numbers = [number(word) for word in words]
    slips = tuple(i for i, value in enumerate(numbers) if value is None)
    given = sum(word.lower() not in UNKNOWN for word in words)
    if not given or SLIPS * len(slips) > given:
        return None
    return Column(name, tuple(nan if v is None else v for v in numbers), slips)


def oddity(name: str, words: Sequence[str]) -> str:
    """What is to be said of a column as a whole, "" where nothing is.

    >>> oddity("hat", ["0", "", "0"]), oddity("age", ["7", "old", "9"]), oddity("kind", ["a", "b"])
    ('hat is 0 in every row', 'age is no number in 1 of 3 cells; the column is not read', '')
    """
    given = [word for word in words if word.strip().lower() not in UNKNOWN]
    odd = sum(number(word) is None for word in given)
    if SLIPS * odd > len(given):
        return (f"{name} is no number in {odd} of {len(given)} cells; the column is not read"
                if 2 * odd < len(given) else "")  # fmt: skip
    same = len({number(word) for word in given}) == 1 < len(given)
    return f"{name} is {given[0].strip()} in every row" if same else ""


def number(word: str) -> float | None:
    """A cell -> its number, NaN where none is given, None where it is something else.

    >>> number(" 1e3"), number("yes"), number("tall")
    (1000.0, 1.0, None)
    """
    word = word.strip().lower()
    if word in UNKNOWN:
        return nan
    if word in YES_NO:
        return YES_NO[word]
    try:
        value = float(word)
    except ValueError:
        return None
    return None if isinf(value) else value


def split_kinds(
    columns: Sequence[Column], label: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns, the label's -> names of attributes, names of values. The label is a value only
    where no other column is.

    >>> split_kinds([column_of("age", ["7", "9"]), column_of("hat", ["0", "1"])], None)
    (('hat',), ('age',))
    """
    attributes = tuple(c.name for c in columns if c.is_binary)
    numbers = tuple(c.name for c in columns if not c.is_binary)
    others = tuple(name for name in numbers if name != label)
    return attributes, others or numbers


def table_of(
    columns: Sequence[Column], names: Sequence[str], rows: Sequence[int], is_binary: bool
) -> Tensor:
    """Some columns and rows of a table -> float32 (rows, names).

    Raises DataError where a column is not there.
    """
    known = {column.name: column for column in columns}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(f"its columns of numbers are {shortlist(known) or 'none'}; "
                        f"{shortlist(missing)} is wanted too")  # fmt: skip
    cells = [known[n].attributes() if is_binary else list(known[n].cells) for n in names]
    rows_NV = [[column[row] for column in cells] for row in rows]
    return tensor(rows_NV).float().reshape(len(rows), len(names))
