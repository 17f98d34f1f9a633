"""What a check is: a few facts and one pure question. Probes measure, checks judge, reports speak.

A file of checks/ declares CHECKS, and beside them `sick()` and `healthy()`: charts (or lists of
charts) on which the check must fire, and on which every check must stay quiet.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from ..core import registry
from ..core.errors import UnknownName, UsageError
from .chart import Chart
from .finding import Finding, fold
from .places import located


class Check(ABC):
    """The facts are printed by `snellen doctor --explain ID` and the catalogue page as they are."""

    id: ClassVar[str]  # FAULTS.md's
    level: ClassVar[str] = "warning"
    signal: ClassVar[str]  # what is looked at
    threshold: ClassVar[Any]  # what number decides
    source: ClassVar[str]  # who says so
    why: ClassVar[str]  # what this does to a training
    do: ClassVar[str]  # what to change first
    bad: ClassVar[str]  # a line of code that has the fault
    good: ClassVar[str]  # and the same line mended
    explains: ClassVar[tuple[str, ...]] = ()  # ids that this one causes: its symptoms

    @abstractmethod
    def look(self, chart: Chart) -> Finding | None:
        """The finding with its numbers, or None. Reads the chart; touches nothing else."""

    def finding(self, message: str, **more: Any) -> Finding:
        """A finding of this check: its level, why and do unless `more` says otherwise."""
        facts = {"level": self.level, "why": self.why, "do": self.do, **more}
        return Finding(self.id, message=message, **facts)


def all_checks() -> dict[str, Check]:
    """Every check by its id, the user's own included."""
    return dict(sorted(registry.collect("snellen.doctor.checks", "CHECKS").items()))


def must_be_checks(ids: Collection[str]) -> None:
    """Raise where one of the ids to ignore is none: a slip would ignore nothing.

    >>> must_be_checks(["arch-bottlenek"])
    Traceback (most recent call last):
    snellen.core.errors.UnknownName: no 'arch-bottlenek' in checks; did you mean arch-bottleneck?
    """
    if isinstance(ids, str):
        raise UsageError(f"ignore={ids!r} is one word; give a list, ignore=[{ids!r}]")
    for id in ids:
        if id not in all_checks():
            raise UnknownName(id, all_checks(), "checks")


# Two sides of one quantity: never told together, neither as root and symptom nor side by side.
OPPOSITES = frozenset(map(frozenset, (
    ("lr-too-high", "lr-too-low"), ("init-too-large", "init-too-small"),
    ("grad-exploding", "grad-vanishing"), ("arch-saturated", "init-too-small"),
    ("gen-overfit", "gen-underfit"), ("gen-overfit", "gen-stopped-early"),
    ("gen-overfit", "gen-val-too-good"), ("gen-overfit", "reg-dropout-too-high"),
    ("gen-overfit", "reg-weight-decay-too-high"), ("gen-underfit", "gen-stopped-early"),
    ("loss-double-softmax", "loss-missing-log-softmax"),
)))  # fmt: skip
Failed = Callable[[Any, BaseException], None]


def judge(
    chart: Chart, ignore: Collection[str] = (), failed: Failed | None = None
) -> tuple[Finding, ...]:
    """Ask every check; fold symptoms under their roots, the likeliest root first.

    A check that raises is passed over, and `failed(check, error)` is told.
    """
    checks = all_checks()
    found = [f for id, check in checks.items() if id not in ignore
             and (f := _asked(check, chart, failed))]  # fmt: skip
    explains = {id: check.explains for id, check in checks.items()}
    explains |= {f.id: f.explains for f in found if f.explains is not None}
    return fold(found, explains, OPPOSITES)


def silenced(chart: Chart, ignore: Collection[str]) -> tuple[Finding, ...]:
    """What the ignored checks would have said, by id; with no message where that is nothing."""
    checks = all_checks()
    return tuple(_asked(checks[id], chart, None) or checks[id].finding("")
                 for id in sorted(set(ignore)) if id in checks)  # fmt: skip


def _asked(check: Check, chart: Chart, failed: Failed | None) -> Finding | None:
    try:
        found = check.look(chart)
        return located(found, chart) if found else None
    except Exception as error:
        if failed is not None:
            failed(check, error)
        return None
