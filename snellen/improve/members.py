"""The members of an ensemble: runs or single checkpoints, and whether they go together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.errors import DataError, UsageError, shortlist
from ..core.runfolder import RunFolder, find
from ..tasks.task import Task
from ..train.checkpoint import load_weights
from ..train.logbook import plan_of, read_config
from ..train.rebuild import task_of
from ..train.recipe import Recipe
from ..train.verb import whereabouts

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Member:
    """One network: its weights, what they are of, and the run that trained it."""

    name: str  # as it was typed
    run: RunFolder
    weights: dict[str, Tensor]
    meta: dict[str, Any]
    config: dict[str, Any]
    recipe: Recipe  # with its data where they lie
    task: Task

    @classmethod
    def read(cls, path: str | Path) -> "Member":
        """A run, whose best weights count, or a checkpoint of one: RUN/weights/last, say."""
        file = _file(Path(path))
        run = find(file.parent.parent)
        weights, meta = load_weights(file)
        if "spec" not in meta:
            raise DataError(f"{path} holds weights only; name RUN/weights/last or a whole RUN")
        if "class" in meta["model"]:
            raise UsageError(
                f"{path} is a network of your own, {meta['model']['class']}, which is not stored; "
                "an ensemble is written of networks of sn.models(): average such answers yourself"
            )
        config = read_config(run)
        recipe = whereabouts(config, plan_of(config).recipe)
        return cls(str(path), run, weights, meta, config, recipe, task_of(meta))


def _file(path: Path) -> Path:
    """The file of weights that is meant."""
    if path.is_file():
        return path
    if (beside := path.with_name(path.name + SUFFIX)).is_file() and not path.is_dir():
        return beside
    best = find(path).best
    if not best.exists():
        raise DataError(f"{path} has no {best.relative_to(path)}: no epoch was finished")
    return best


def read_members(paths: Sequence[str | Path]) -> list[Member]:
    """Two members or more that answer the same question on the same pictures.

    Raises UsageError that says in what they differ.
    """
    if len(paths) < 2:
        raise UsageError(f"{len(paths)} is no ensemble; name two runs or more, or checkpoints of "
                         "one: RUN/weights/best RUN/weights/last")  # fmt: skip
    files = [_file(Path(path)).resolve() for path in paths]
    twice = [str(path) for i, path in enumerate(paths) if files[i] in files[:i]]
    if twice:
        raise UsageError(f"{twice[0]} is named twice; its answers would count double")
    first, *others = (Member.read(path) for path in paths)
    for other in others:
        if said := _difference(first, other):
            raise UsageError(f"{first.name} and {other.name} are no ensemble: {said}")
    return [first, *others]


def _difference(one: Member, two: Member) -> str:
    """In what the questions of two members differ; empty where they are the same."""
    if one.task.name != two.task.name:
        return f"the first is of task={one.task.name}, the second of task={two.task.name}"
    mine, theirs = one.task.names(), two.task.names()
    if lacks := [name for name in mine if name not in theirs]:
        return f"the first knows {shortlist(lacks)}, the second does not"
    if more := [name for name in theirs if name not in mine]:
        return f"the second knows {shortlist(more)}, the first does not"
    if mine != theirs:
        i = next(i for i, name in enumerate(mine) if name != theirs[i])
        return f"their names stand in another order: number {i} is {mine[i]} and {theirs[i]}"
    a, b = one.task.inputs(), two.task.inputs()
    sizes = [f"{i.channels}x{i.height}x{i.width}" for i in (a, b)]
    if sizes[0] != sizes[1]:
        return f"they are fed pictures of {sizes[0]} and {sizes[1]}; train them with one imgsz="
    if a.pixels != b.pixels:
        return f"they learned from pixels that mean {a.pixels} and {b.pixels}"
    return ""
