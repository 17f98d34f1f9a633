"""Tree-structured Parzen estimator, Bergstra et al. 2011, by optuna: tries near what was good."""

import math
from typing import Any

from ...core.errors import UsageError
from ..space import Axis, Range
from . import Judge, Method, Wish, num_trials


def rungs(wish: Wish) -> list[tuple[int, int | None]]:
    """All trials; raises UsageError where optuna is missing."""
    _optuna()
    return [(num_trials(wish), None)]


def run(wish: Wish, judge: Judge) -> None:
    """One after the other; what has no score is told as failed."""
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=wish.seed % 2**32)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(1, num_trials(wish) + 1):
        trial = study.ask()
        score = judge(number, {a.name: _chosen(trial, a) for a in wish.axes}, None).rank[0]
        if score > -math.inf:
            study.tell(trial, score)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _chosen(trial: Any, axis: Axis) -> Any:
    """A share of the way for a range, as all methods draw it; for a list one of its values."""
    if isinstance(axis, Range):
        return axis.at(trial.suggest_float(axis.name, 0.0, 1.0))
    return trial.suggest_categorical(axis.name, axis.values)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "method=optuna needs optuna, which is not installed: pip install 'snellen[search]', "
            "or take method=random"
        ) from error
    return optuna


METHODS = {"optuna": Method("tries near what was good (pip install 'snellen[search]')", rungs, run)}
