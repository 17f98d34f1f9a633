"""Searches settings: many trainings, of which the best is said, and where to look next (notes 003).

Each trial is a run in the folder of the search. What is searched is told by the values:
lr=1e-4..1e-1 is a range, optim=sgd,adamw a list, anything else stays as it is.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import registry
from ..core.errors import Diverged, Interrupted, UsageError
from ..core.runfolder import claim, numbered
from ..data.open import both
from ..train.prepare import task_kind
from ..train.recipe import Recipe, resolve_name
from ..train.verb import read_settings
from .methods import Method, Wish
from .space import Axis, read_axis
from .trials import FILE, TABLE, Say, Trial, Trials, searches, typed

OWN = ("recipe", "quiet")  # words of sn.train that are no settings of a recipe
Stage = tuple[int, int | None]  # how many trials, of how many epochs


@dataclass(frozen=True)
class Search:
    """What a search found: its folder, the name of the score, the trials, the best first.

    `advice` says where the best lies at the edge of what was searched; `command` trains it again.
    """

    path: Path
    score: str
    trials: tuple[Trial, ...]
    advice: tuple[str, ...]
    command: str

    @property
    def best(self) -> Trial:
        """The trial with the highest score, of equal ones the lowest loss."""
        return self.trials[0]


def tune(
    data: Any = None,
    *,
    trials: int | None = None,
    method: str = "random",
    folds: int | None = None,
    say: Say = print,
    **settings: Any,
) -> Search:
    """Settings, of which ranges and lists are searched -> what was found.

    `folds` scores each trial by cross-validation. The same call goes on with a search that was
    broken off, where `data` is a path or a word. Raises UsageError where nothing is to be searched
    or no trial could be made, DataError where the data cannot be used, Interrupted after Ctrl-C;
    what was done is kept.
    """
    how: Method = registry.get(f"{__package__}.methods", "METHODS", method)
    if not isinstance(val := settings.get("val"), str | Path | None):
        data, settings["val"] = both(data, val), None
    fixed, axes = split_words(settings)
    data = fixed.pop("data", None) if data is None else data
    _refuse(data, fixed, axes, folds)
    project, name = fixed.pop("project", "runs"), fixed.pop("name", None)
    base = _base(fixed)
    wish = Wish(axes, trials, base.epochs, base.seed)
    stages = how.rungs(wish)
    what = {
        "data": str(data), "fixed": fixed, "searched": {a.name: str(a) for a in axes},
        "method": method, "folds": folds, "trials": None if how.extends else trials,
    }  # fmt: skip
    home = Path(project), _name(name, base.data if data is None else data)
    folder = _folder(*home, what, goes_on=isinstance(data, str | Path | None))
    say = say if not settings.get("quiet") else lambda text: None
    judge = Trials(folder, what, data, task_kind(base).score, say)
    judge.total = sum(count for count, _ in stages)
    say(_plan(axes, stages, judge))
    _ask(how, wish, judge)
    return _found(judge, axes)


def split_words(settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[Axis]]:
    """Settings as typed -> those that stay, and what is searched.

    >>> split_words({"lr": "0.01..0.5", "epochs": "3"})
    ({'epochs': 3}, [Range(name='lr', low=0.01, high=0.5, whole=False)])
    """
    said = {w: v for w, v in settings.items() if w not in OWN and v is not None}
    axes = {w: axis for w, v in said.items() if (axis := read_axis(resolve_name(w)[0], v))}
    fixed = read_settings({word: value for word, value in said.items() if word not in axes})
    names = [axis.name for axis in axes.values()]
    if twice := [name for i, name in enumerate(names) if name in {*names[:i], *fixed}]:
        raise UsageError(f"{twice[0]} is said twice; keep the one you mean")
    recipe = {"recipe": settings["recipe"]} if settings.get("recipe") is not None else {}
    return {**recipe, **fixed}, list(axes.values())


def _refuse(data: Any, fixed: Mapping[str, Any], axes: Sequence[Axis], folds: int | None) -> None:
    if data is None and "recipe" not in fixed:
        raise UsageError("no data: snellen tune digits lr=1e-4..1e-1")
    if not axes:
        raise UsageError("nothing is to be searched: give a range, lr=1e-4..1e-1, or a list, "
                         "optim=sgd,adamw; `snellen train` trains one setting")  # fmt: skip
    if folds is not None and folds < 2:
        raise UsageError(f"folds={folds}: two or more are wanted; leave it out for one split")
    if folds and (both := [name for name in ("val", "fold") if fixed.get(name) is not None]):
        raise UsageError(f"folds={folds} holds out each part in turn, so {both[0]}= says nothing; "
                         "leave one of them out")  # fmt: skip


def _base(fixed: Mapping[str, Any]) -> Recipe:
    """The recipe of all trials, without what is searched."""
    said = dict(fixed)
    name = said.pop("recipe", None)
    base = registry.get("snellen.recipes", "RECIPES", name) if name else Recipe()
    return base.change(**said)


def _name(typed: str | None, data: Any) -> str:
    """What the folder of the search is called, before its number."""
    said = typed or (Path(data).stem if isinstance(data, str | Path) else "arrays")
    return (re.sub(r"[^\w.-]+", "_", said).strip("._-") or "search") + "-tune"


def _folder(project: Path, name: str, what: Mapping[str, Any], *, goes_on: bool) -> Path:
    """The folder of the same search where it was broken off, else a new one."""
    same = (path for _, path in sorted(numbered(project, name), reverse=True)
            if goes_on and searches(path, what))  # fmt: skip
    return next(same, None) or claim(project, name)


def _plan(axes: Sequence[Axis], stages: Sequence[Stage], judge: Trials) -> str:
    """What is going to be done, in a line or two."""
    each = ", then ".join(
        f"{count} trials" + (f" of {epochs} epochs" if epochs else "") for count, epochs in stages
    )
    logs = [axis.name for axis in axes if getattr(axis, "is_log", False)]
    log = f" ({', '.join(logs)} by factors)" if logs else ""
    old = f"; {len(judge.done)} are there already, name= another search to begin anew"
    searched = " ".join(f"{axis.name}={axis}" for axis in axes)
    return f"{searched}{log}: {each} in {judge.folder}{old if judge.done else ''}"


def _ask(how: Method, wish: Wish, judge: Trials) -> None:
    """Run the method; a search without a single run leaves no folder."""
    judge.write()
    try:
        how.run(wish, judge)
    except (KeyboardInterrupt, Interrupted) as error:
        kept = f"; what was done is kept in {judge.folder}" if _has_runs(judge.folder) else ""
        raise Interrupted(f"interrupted after {len(judge.done)} of {judge.total} trials{kept}, "
                          "and the same command goes on") from error  # fmt: skip
    finally:
        if not _has_runs(judge.folder):
            for name in (FILE, TABLE):
                (judge.folder / name).unlink(missing_ok=True)
            judge.folder.rmdir()


def _has_runs(folder: Path) -> bool:
    """Whether anything beside our own two files is there."""
    return not {path.name for path in folder.iterdir()} <= {FILE, TABLE}


def _found(judge: Trials, axes: Sequence[Axis]) -> Search:
    """What the trials say together; raises the reason where none has a score."""
    trials = judge.latest()
    best = trials[0]
    if best.score is None:
        refused = [trial for trial in trials if trial.why]
        if len(refused) == len(trials):
            raise UsageError(f"none of {len(trials)} trials could be made: {refused[0].why}")
        raise Diverged(f"each of {len(trials)} trials diverged; try smaller lr=; {judge.folder}")
    advice = tuple(said for axis in axes if (said := axis.edge(best.settings[axis.name])))
    long = {"epochs": best.epochs} if best.epochs is not None else {}
    words = {k: v for k, v in {**judge.fixed, **best.settings, **long}.items() if v is not None}
    data = "DATA" if not isinstance(judge.data, str | Path | None) else str(judge.data or "")
    place = f"{shlex.quote(data)} " if data else ""
    command = f"snellen train {place}{typed(words)}"
    return Search(judge.folder, judge.score, tuple(trials), advice, command)
