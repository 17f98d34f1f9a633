"""`sn.gradcheck(module, x)`: whether the gradients of a module are the slopes of what it computes.

Centred differences in float64 on copies, by the nine rules of the notes (CS231n, neural networks 3:
gradient checks); docs/gradcheck.md shows each rule with what happens without it.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..core.numbers import check_seeds
from ..core.parts import Part
from ..core.patience import patience
from ..core.seeds import untouched_rng
from .slopes.compare import Comparison, Seen
from .slopes.given import Given
from .slopes.guess import guess
from .slopes.report import NOT_TESTED, SMALL, STILL, Row
from .slopes.report import GradReport as GradReport
from .slopes.rules import BANDS
from .slopes.rules import Rules as Rules
from .slopes.subject import Subject

Key = tuple[str, str]  # term, name
PARTS = {
    "Gradient checker": Part(
        "Gradients and checks",
        "sn.gradcheck, snellen.byhand.gradients.check",
        "centred differences in float64; relative error bands 1e-2, 1e-4, 1e-7",
        "001 003",
    ),
    "Gradient check, the nine rules": Part(
        "Gradients and checks",
        "snellen.doctor.gradcheck.Rules",
        "centred, double, relative, kinks, step, few rows, burn-in, penalty apart, dropout frozen",
        "003",
    ),
    "Full loss": Part(
        "Losses",
        "sn.gradcheck, sn.optim.decay_penalty",
        "data loss + penalty, each checked as a term of its own (`penalty=`); a run's metrics.csv "
        "holds each term",
        "001 003",
    ),
    "Early stopping": Part(
        "Regularisers",
        "sn.train",
        "`patience=` of a recipe: the best epoch is kept, and a loss still falling is told",
        "001 004",
    ),
}


def gradcheck(
    module: Any,
    x: Any,
    target: Any = None,
    *,
    loss_fn: Callable[..., Any] | None = None,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    rules: Rules | None = None,
    seed: int = 0,
    seconds: float = 30.0,
) -> GradReport:
    """A module, a function or an autograd Function, and inputs of it -> a GradReport.

    Checked are all parameters that are learnt, and all floats in `x`. `x` is a tensor, or a tuple
    (positions) or dict (names) of arguments. What is compared is `loss_fn(module(x), target)`;
    without loss_fn `module(x, target)`, so that a loss is checked as `gradcheck(loss, x, target)`;
    what comes out is projected on a random direction. `penalty(module)` is a term of its own.
    Everything happens on copies: weights, buffers, modes and random numbers stay as they are, and
    a dropout in train mode drops the same each time, so that its backward is checked too.

    Raises UsageError for what cannot be checked: complex, on the meta device, another result each
    time, not finite, or impossible in float64, and for a seed that is no whole number.

    >>> report = gradcheck(nn.Linear(3, 2), torch.ones(4, 3))
    >>> bool(report), [row.name for row in report.rows]
    (True, ['weight', 'bias', 'x'])
    """
    check_seeds(seed=seed)
    rules, end = rules or Rules(), time.monotonic() + patience(seconds)
    rows: dict[Key, Row] = {}
    used: dict[Key, int] = {}
    with untouched_rng(), torch.enable_grad():
        given = Given(module, (x, target), loss_fn, rules=rules, seed=seed)
        for after, subject, until in _looks(given, penalty, end):
            comparison = Comparison(subject, rules, seed)
            for seen in comparison.look(until):
                if not (seen.tried or rules.each):
                    continue  # not drawn, and so not missed
                key = subject.term, seen.leaf.name
                if seen.is_wrong:
                    comparison.look_closer(seen, end)
                rows[key] = _worse(rows.get(key), _row(seen, given, subject.term, after))
                used[key] = seen.used
    return GradReport(tuple(rows.values()), given.what, _culprit(rows, used), tuple(given.notes))


def _looks(given: Given, penalty: Any, end: float) -> Iterator[tuple[int, Subject, float]]:
    """(steps of burn-in, what is checked, until when): as it is, then after the burn-in."""
    subjects = given.subjects(penalty)
    is_learnt = any(leaf.kind == "parameter" for leaf in subjects[0].leaves)
    steps = given.rules.burn_in if is_learnt else 0
    stages = (0, steps) if steps else (0,)
    left = len(stages) * len(subjects)
    for after in stages:
        if after and not given.burn_in(subjects[0], after):
            given.notes.append(f"after {after} steps the output is not finite: only as it is")
            return
        for subject in subjects:
            now = time.monotonic()
            yield after, subject, now + (end - now) / left
            left -= 1


def _row(seen: Seen, given: Given, term: str, after: int) -> Row:
    said = guess(seen, given.keeps, given.num_rows) if seen.is_wrong else ""
    return Row(
        seen.leaf.name, seen.leaf.kind, term, seen.worst,
        tested=len(seen.places), total=seen.grad.numel(), passed=seen.passed,
        kink_at=next(iter(seen.where), None), after=after, guess=said, follows=seen.own,
        moves=seen.moves, small=seen.small,
    )  # fmt: skip


def _worse(old: Row | None, new: Row) -> Row:
    """Of a tensor's row as it is and its row after the burn-in the one that tells more of a fault,
    else the first.
    """
    telling = (NOT_TESTED, STILL, SMALL, *BANDS)
    if old is None or telling.index(new.band) > telling.index(old.band):
        return new
    return old


def _culprit(rows: dict[Key, Row], used: dict[Key, int]) -> Row | None:
    """Of the gravest rows the last that the forward pass uses: what follows it is right."""
    bad = GradReport(tuple(rows.values()), "").bad
    keys = [key for key, row in rows.items() if bad and row.band == bad[0].band]
    return rows[max(keys, key=lambda key: (key[0] == "loss", used[key]))] if keys else None
