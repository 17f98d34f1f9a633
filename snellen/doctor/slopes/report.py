"""What a gradient check found: a row a tensor, and one sentence on what is wrong first."""

from dataclasses import asdict, dataclass
from typing import Any

from ...core.errors import DoctorError
from ...core.words import printable
from .compare import Place
from .rules import band

BAD = ("wrong", "suspect", "not tested")


@dataclass(frozen=True)
class Row:
    """One tensor: its worst place, and the notes' word for the relative error there."""

    name: str
    kind: str  # parameter | input
    term: str  # loss | penalty
    place: Place | None  # the worst: index, analytic, numeric, error; None: nothing was compared
    tested: int  # numbers compared, of `total`
    total: int
    passed: dict[str, int]  # passed over: kink, rounding
    kink_at: tuple[int, ...] | None = None
    after: int = 0  # steps of burn-in before the worst place
    guess: str = ""
    follows: tuple[str, ...] = ()  # the user's autograd functions that it goes through

    @property
    def error(self) -> float | None:
        """The relative error there."""
        return self.place.error if self.place else None

    @property
    def band(self) -> str:
        """good | fine only with kinks | suspect | wrong | not tested."""
        return "not tested" if self.error is None else band(self.error)


@dataclass(frozen=True, repr=False)
class GradReport:
    """True where every gradient is a slope; `rows` have the numbers, `named` is the culprit.

    >>> row = Row("w", "parameter", "loss", Place((3,), 1.0, 2.0, 0.5), 4, 4, {})
    >>> report = GradReport((row,), "Net")
    >>> bool(report), report.named.name, report.worst.band
    (False, 'w', 'wrong')
    """

    rows: tuple[Row, ...]
    what: str  # the class or the name of what was checked
    named: Row | None = None  # of the wrong ones the last that the forward pass uses
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.named is None and self.bad:
            object.__setattr__(self, "named", self.bad[0])

    @property
    def bad(self) -> tuple[Row, ...]:
        """The rows that are wrong, then those that are suspect or could not be tested."""
        found = [row for row in self.rows if row.band in BAD]
        return tuple(sorted(found, key=lambda row: BAD.index(row.band)))

    @property
    def ok(self) -> bool:
        """Whether all is right."""
        return not self.bad

    @property
    def worst(self) -> Row | None:
        """The row of the largest error."""
        tested = [row for row in self.rows if row.error is not None]
        return max(tested, key=lambda row: _size(row.error), default=None)

    @property
    def verdict(self) -> str:
        """The sentence below the table."""
        if self.named is None:
            return self._all_right()
        row, count = self.named, sum(r.band == self.named.band for r in self.rows)
        if row.place is None:
            return (f"nothing can be said of {_called(row)}: {_passed(row)}; "
                    "try other inputs or another step")  # fmt: skip
        at = row.place
        said = (f"the gradient of {_called(row)} is {row.band}: at {list(at.index)} autograd says"
                f" {at.analytic:.6g} where the slope is {at.numeric:.6g}"
                f" (relative error {at.error:.2g})")  # fmt: skip
        said += f" after {row.after} steps of burn-in" if row.after else ""
        said += f"; {row.guess}" if row.guess else ""
        if row.follows:
            said += f"; look at the backward of {' or '.join(row.follows[:3])}"
        if count > 1:
            said += (f"; {count - 1} more that it passes gradients to "
                     f"{'is' if count == 2 else 'are'} {row.band} too")  # fmt: skip
        return said

    def raise_if_wrong(self) -> None:
        """Raise DoctorError with the whole report unless all is right."""
        if self.bad:
            raise DoctorError(f"{self.verdict}\n{self._table()}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values: ok, verdict, rows, notes."""
        rows = [{**asdict(row), "band": row.band} for row in self.rows]
        return {"ok": self.ok, "verdict": self.verdict, "rows": rows, "notes": list(self.notes)}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return printable(f"{self._table()}\n{self.verdict}{notes}", keep="\n")

    def __repr__(self) -> str:
        return f"GradReport({self.what}, {len(self.rows)} tensors: {self.verdict})"

    def _all_right(self) -> str:
        worst = self.worst
        assert worst is not None
        assert worst.error is not None
        tested = sum(row.tested for row in self.rows)
        count = len(self.rows)
        return (f"the gradients of {self.what} are right: {tested} numbers of {count}"
                f" tensor{'s' * (count > 1)}, worst relative error {worst.error:.1g}")  # fmt: skip

    def _table(self) -> str:
        heads = ("tensor", "error", "verdict", "at", "autograd", "slope", "tested", "passed over")
        cells = [heads, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    name = row.name if row.term == "loss" else f"{row.term}: {row.name}"
    numbers: tuple[str, ...] = ("-", row.band, "", "", "")
    if row.place is not None:
        where, slopes = str(list(row.place.index)), (row.place.analytic, row.place.numeric)
        numbers = (f"{row.place.error:.1e}", row.band, where, *(f"{v:.4g}" for v in slopes))
    return (name, *numbers, f"{row.tested} of {row.total}", _passed(row) if row.passed else "")


def _passed(row: Row) -> str:
    words = [f"{count} {why}{'s' * (why == 'kink' and count > 1)}"
             for why, count in row.passed.items()]  # fmt: skip
    said = ", ".join(words) or "the time was over before it"
    return f"{said}, first at {list(row.kink_at)}" if row.kink_at is not None else said


def _called(row: Row) -> str:
    return f"the {row.term} in {row.name}" if row.term != "loss" else row.name


def _size(error: float | None) -> float:
    return float("inf") if error is None or error != error else error
