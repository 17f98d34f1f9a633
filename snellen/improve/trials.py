"""The trials of a search: each is a run, or one for each fold; what came of them is kept.

search.json in the folder of the search says what is searched and lists the trials; trials.csv is
the list as a table. Both are written anew after each trial, so whatever ends a search costs at most
the trial that it was at, and that one is resumed.
"""

import csv
import io
import json
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ..core.errors import DataError, Interrupted, UsageError
from ..core.events import plain, unplain
from ..core.files import write_json, write_text
from ..core.runfolder import RunFolder, numbered
from ..core.words import duration, number
from ..train.logbook import plan_of, read_config
from ..train.outcome import metrics_of, status_of
from ..train.standing import rank
from ..train.verb import train
from .draws import Settings
from .space import word

FILE, TABLE = "search.json", "trials.csv"
ENDS = ("finished", "stopped early")
QUIET = {"doctor": False, "preflight": "off"}  # where the user does not say otherwise
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """Settings that were tried and what came of them; `score` is the mean over the folds."""

    number: int
    settings: Settings
    epochs: int | None  # of a method that chooses them
    score: float | None  # None: diverged or refused
    spread: float | None  # standard deviation over the folds
    loss: float | None
    status: str  # finished, stopped early, diverged, refused
    runs: tuple[str, ...]  # folders in that of the search
    seconds: float
    why: str = ""

    @property
    def rank(self) -> tuple[float, float]:
        """What trials are compared by: the score, among equal ones the lower loss."""
        if self.score is None:
            return -math.inf, -math.inf
        return self.score, -math.inf if self.loss is None else -self.loss

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        long = {"epochs": self.epochs} if self.epochs is not None else {}
        return {
            "trial": self.number, **self.settings, **long, "score": self.score,
            "spread": self.spread, "val_loss": self.loss, "status": self.status,
            "seconds": self.seconds, "runs": " ".join(self.runs),
        }  # fmt: skip


class Trials:
    """The trials of one search in its folder; calling it tries settings, or finds them tried."""

    def __init__(
        self, folder: Path, what: Mapping[str, Any], data: Any, score: str, say: Say
    ) -> None:
        self.folder, self.what, self.data, self.say = folder, what, data, say
        self.fixed: Settings = what["fixed"]
        self.folds, self.score = what["folds"] or 1, score
        self.done = {(trial.number, trial.epochs): trial for trial in read_trials(folder)}
        self.total = 0

    def __call__(self, number: int, settings: Settings, epochs: int | None) -> Trial:
        """Number, settings, epochs -> the trial."""
        if (number, epochs) not in self.done:
            trial = self._tried(number, settings, epochs)
            self.done[number, epochs] = trial
            self.write()
            self.say(f"trial {len(self.done)} of {self.total}: {said(trial, self.score)}")
        return self.done[number, epochs]

    def latest(self) -> list[Trial]:
        """Each trial as it stands after its last stage, the best first."""
        last = {trial.number: trial for trial in self.done.values()}
        return sorted(last.values(), key=lambda t: (t.epochs or 0, *t.rank), reverse=True)

    def write(self) -> None:
        """search.json and trials.csv."""
        trials = list(self.done.values())
        write_json(self.folder / FILE, plain(
            {"version": 1, "what": self.what, "score": self.score, "trials": [*map(asdict, trials)]}
        ))  # fmt: skip
        rows, text = [trial.row() for trial in trials], io.StringIO()
        if rows:
            table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
            write_text(self.folder / TABLE, text.getvalue())

    def _tried(self, number: int, settings: Settings, epochs: int | None) -> Trial:
        began, runs = time.monotonic(), list[RunFolder]()
        try:
            for fold in range(1, self.folds + 1):
                runs.append(self._run(number, settings, epochs, fold))
                if status_of(runs[-1]) == "diverged":
                    break
        except UsageError as error:
            return self._trial(number, settings, epochs, runs, began, why=str(error))
        return self._trial(number, settings, epochs, runs, began)

    def _run(self, number: int, settings: Settings, epochs: int | None, fold: int) -> RunFolder:
        """One training: found where it has ended, resumed where it began, else begun."""
        name = f"trial{number}" + (f"-fold{fold}" if self.folds > 1 else "")
        longer = {} if epochs is None else {"epochs": epochs}
        begun = [RunFolder(path) for _, path in sorted(numbered(self.folder, name))]
        begun = [run for run in begun if (run.weights / "last.json").exists()]
        if begun and _has_ended(begun[-1], epochs):
            return begun[-1]
        if begun:
            again = None if isinstance(self.data, str | Path) else self.data
            path = train(again, None, {"resume": begun[-1].path, "quiet": True, **longer})
        else:
            folds = {"fold": f"{fold}/{self.folds}"} if self.folds > 1 else {}
            home = {"project": str(self.folder), "name": name, "quiet": True}
            path = train(
                self.data, None, {**QUIET, **self.fixed, **settings, **longer, **folds, **home}
            )
        run = RunFolder(path)
        if status_of(run) == "interrupted":
            raise Interrupted(f"{run} was interrupted and is saved")
        return run

    def _trial(
        self, number: int, settings: Settings, epochs: int | None, runs: Sequence[RunFolder],
        began: float, why: str = "",
    ) -> Trial:  # fmt: skip
        ends = [status_of(run) for run in runs]
        status = "refused" if why else "diverged" if "diverged" in ends else ends[-1]
        metrics = [metrics_of(run) for run in runs]
        ranks = [rank(scores, self.score) for scores in metrics]
        failed = why or status == "diverged" or not all(metrics)
        scores, losses = [one[0] for one in ranks], [-one[1] for one in ranks]
        return Trial(
            number, settings, epochs,
            score=None if failed or not all(map(math.isfinite, scores)) else mean(scores),
            spread=None if failed or len(scores) < 2 else stdev(scores),
            loss=None if failed or not all(map(math.isfinite, losses)) else mean(losses),
            status=status, runs=tuple(run.path.name for run in runs),
            seconds=round(time.monotonic() - began, 2), why=why,
        )  # fmt: skip


def _has_ended(run: RunFolder, epochs: int | None) -> bool:
    """Whether a run diverged, or came to its end and is not to go on for more epochs."""
    status, had = status_of(run), plan_of(read_config(run)).recipe.epochs or 0
    return status == "diverged" or (status in ENDS and had >= (epochs or 0))


def read_trials(folder: Path) -> list[Trial]:
    """What search.json lists; raises DataError where it cannot be read."""
    if not (folder / FILE).exists():
        return []
    try:
        found = unplain(json.loads((folder / FILE).read_text(encoding="utf-8")))
        return [Trial(**{**one, "runs": tuple(one["runs"])}) for one in found["trials"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / FILE} cannot be read: {error}; name= another search") from error


def searches(folder: Path, what: Mapping[str, Any]) -> bool:
    """Whether a folder is that of a search for the same.

    >>> searches(Path("absent"), {"data": "digits"})
    False
    """
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return bool(found["what"] == json.loads(json.dumps(plain(what))))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def said(trial: Trial, score: str) -> str:
    """A trial in a line.

    >>> said(Trial(1, {"lr": 0.1}, None, 0.9, None, 0.2, "finished", (), 1.5), "accuracy")
    'lr=0.1   accuracy 0.9000   1.5 s'
    """
    words = typed({**trial.settings, **({"epochs": trial.epochs} if trial.epochs else {})})
    spread = f" +- {number(trial.spread)}" if trial.spread is not None else ""
    came = trial.status if trial.score is None else f"{score} {number(trial.score)}{spread}"
    return f"{words}   {came}{': ' + trial.why if trial.why else ''}   {duration(trial.seconds)}"


def typed(settings: Mapping[str, Any]) -> str:
    """Settings as they are typed.

    >>> typed({"lr": 0.001, "data": "my pets"})
    "lr=0.001 'data=my pets'"
    """
    return shlex.join(f"{name}={word(value)}" for name, value in settings.items())
