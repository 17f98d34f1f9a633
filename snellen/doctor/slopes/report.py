"""What a gradient check found: a row a tensor, and one sentence on what is wrong first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...core.errors import DoctorError
from ...core.words import printable
from .compare import Place
from .rules import KINKY, band

NOT_TESTED = "not tested"  # kinks at all places, or the time was over
SMALL = "too small to measure"  # beside the rounding of the output: neither right nor wrong
STILL = "moves nothing"  # behind a dead unit or not used: 0 = 0, which tells nothing of a backward
SILENT = (SMALL, STILL)
GRAVE = ("wrong", "suspect", KINKY, NOT_TESTED, *SILENT)  # gravest first


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
    moves: bool = True  # False: the output stays wherever it is moved, and autograd says zero
    small: Place | None = None  # the largest slope of those that rounding hides

    @property
    def error(self) -> float | None:
        """The relative error there."""
        return self.place.error if self.place else None

    @property
    def band(self) -> str:
        """good | fine only with kinks | suspect | wrong | SMALL | STILL | NOT_TESTED."""
        if self.error is None:
            return SMALL if self.small else NOT_TESTED
        return band(self.error) if self.moves else STILL


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
        """The rows that are wrong, then those that are suspect or could not be tested.

        Those that are fine only with kinks count where no kink was met; those that move nothing or
        too little where no other of their term could be measured.
        """
        kinked = {row.term for row in self.rows if row.passed.get("kink")}
        told = {row.term for row in self.rows if row.band not in SILENT}
        excuse: dict[str, set[str]] = {KINKY: kinked, SMALL: told, STILL: told}
        found = [row for row in self.rows
                 if row.band in GRAVE and row.term not in excuse.get(row.band, ())]  # fmt: skip
        return tuple(sorted(found, key=lambda row: GRAVE.index(row.band)))

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
        if row.band in SILENT:
            return self._nothing_measured()
        if row.place is None:
            return (f"nothing can be said of {_called(row)}: {_passed(row)}; "
                    "try other inputs or another step")  # fmt: skip
        at, kinks = row.place, ", and none was met" * (row.band == KINKY)
        said = (f"the gradient of {_called(row)} is {row.band}{kinks}: at {list(at.index)}"
                f" autograd says {at.analytic:.6g} where the slope is {at.numeric:.6g}"
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

    def _nothing_measured(self) -> str:
        still, small = ([r for r in self.bad if r.band == word] for word in (STILL, SMALL))
        said = []
        if small:
            said.append(f"the slopes of {_all_called(small)} are lost in the rounding of the "
                        "output; try inputs or weights with which it moves more")  # fmt: skip
        if still:
            said.append(f"the output does not move with {_all_called(still)}, and autograd says "
                        "zero; try other inputs")  # fmt: skip
        return f"nothing could be measured: {'; '.join(said)}"

    def _all_right(self) -> str:
        worst = self.worst
        assert worst is not None
        assert worst.error is not None
        still, small = ([r for r in self.rows if r.band == word] for word in (STILL, SMALL))
        told = [row for row in self.rows if row.band not in SILENT]
        tested, count = sum(row.tested for row in told), len(told)
        said = (f"the gradients of {self.what} are right: {tested} numbers of {count}"
                f" tensor{'s' * (count > 1)}, worst relative error {worst.error:.1g}")  # fmt: skip
        if still:
            said += f"; not tested: {_all_called(still)}, which moves nothing here"
        if small:
            said += f"; {SMALL} beside the rounding of the output: {_all_called(small)}"
        return said

    def _table(self) -> str:
        heads = ("tensor", "error", "verdict", "at", "autograd", "slope", "tested", "passed over")
        cells = [heads, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    name = row.name if row.term == "loss" else f"{row.term}: {row.name}"
    numbers: tuple[str, ...] = ("-", row.band, "", "", "")
    if row.band == SMALL and row.small is not None:
        at = row.small
        slope = f"{at.numeric:.2g} +- {at.doubt:.1g}"
        numbers = ("-", row.band, str(list(at.index)), f"{at.analytic:.4g}", slope)
    elif row.place is not None:
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


def _all_called(rows: Sequence[Row]) -> str:
    names = [_called(row) for row in rows]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _size(error: float | None) -> float:
    return float("inf") if error is None or error != error else error
