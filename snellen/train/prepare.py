"""From settings to a job: the data opened, the task read off it, the network built and placed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..core.seeds import seed_everything
from ..data.audit import screen
from ..data.augment import compose
from ..data.open import open_data
from ..data.source import Part, SampleSet, Source
from ..models import model as build_model
from ..nn.count import count_macs, count_params
from ..tasks.compute import Compute
from ..tasks.task import Task
from .checkpoint import fit_into, load_weights
from .feed import Feed, Resident, Streamed, encode_all
from .plan import Plan, resolve
from .recipe import Recipe
from .speed import Facts, Machine, fits_in_memory

Note = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A training that is ready to start."""

    source: Source
    task: Task
    net: nn.Module
    model: dict[str, Any]  # how to build the network again: name and arguments, or None
    plan: Plan
    compute: Compute
    train: Feed
    val: Feed | None
    data: Any = None  # what the user gave, where it was not a path

    @property
    def recipe(self) -> Recipe:
        """Every setting, filled."""
        return self.plan.recipe


def prepare(recipe: Recipe, typed: dict[str, Any], given: dict[str, Any], note: Note) -> Job:
    """Settings -> job. `given` holds what only Python can pass: data, model (an nn.Module), spec.

    Raises DataError or UsageError before anything is written.
    """
    source = read_source(recipe, given.get("data"), note)
    task = make_task(recipe, source, given.get("spec"))
    own = given.get("model")
    usual = task.usual_model()
    first = source.train[0].image_CHW
    facts = Facts(len(source.train), pictures=first.dtype == torch.uint8, model=usual)
    plan = resolve(recipe, typed, facts)
    compose(plan.recipe.augment)  # a misspelt word is said before a folder is made
    machine = Machine.here()
    seed_everything(plan.recipe.seed)
    net, how = make_net(plan.recipe, task, own)
    load_and_freeze(net, plan.recipe, note)
    params, macs = measure(net, task)
    facts = replace(facts, params=params, macs=macs)
    plan = plan.then(facts, machine)
    done = plan.recipe
    compute = Compute.of(done.device, done.amp, done.channels_last)
    feeds = [
        None if part is None else make_feed(part, task, plan.recipe, machine)
        for part in (source.train, source.val)
    ]
    assert feeds[0] is not None
    check_round_trip(task, feeds[0])
    return Job(source, task, net, how, plan, compute, feeds[0], feeds[1], given.get("data"))


def read_source(recipe: Recipe, data: Any, note: Note) -> Source:
    """Open the data, leave out what cannot be read, and say so."""
    if data is None and recipe.data is None:
        raise UsageError(
            "no data: give a folder, a file, or a word such as digits: snellen train digits"
        )
    source = open_data(
        recipe.data if data is None else data, val=recipe.val, split=recipe.split, seed=recipe.seed
    )
    for problem in source.problems:
        note(f"data: {problem}")
    train = _readable(source.train, "train", note)
    val = None if source.val is None else _readable(source.val, "val", note)
    return replace(source, train=train, val=val)


def _readable(part: SampleSet, name: str, note: Note) -> SampleSet:
    bad, problems = screen(part)
    if not bad:
        return part
    for problem in problems[:10]:
        note(f"left out of {name}: {problem}")
    if len(problems) > 10:
        note(f"left out of {name}: {len(problems) - 10} more; `snellen check` lists all")
    rows = sorted(set(range(len(part))) - set(bad))
    if not rows:
        raise DataError(
            f"none of the {len(part)} files of {name} can be read; the first: {problems[0]}"
        )
    return Part(part, rows)


def make_task(recipe: Recipe, source: Source, spec: dict[str, Any] | None) -> Task:
    """The task by its name, with the spec of the run that is resumed or read off the data."""
    kind: type[Task] = registry.get("snellen.tasks", "TASKS", recipe.task or "classify")
    if spec is not None:
        return kind(spec)
    task = kind.from_source(source, recipe.imgsz)
    if recipe.label_smoothing:
        task.spec["label_smoothing"] = recipe.label_smoothing
    return task


def make_net(recipe: Recipe, task: Task, own: nn.Module | None) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and what a checkpoint needs to build it again."""
    if own is not None:
        return task.build(own), {"name": None, "class": type(own).__qualname__}
    inputs = task.inputs()
    how: dict[str, Any] = {
        "name": recipe.model,
        "classes": len(task.spec.get("classes", ())),
        "channels": inputs.channels,
        "imgsz": max(inputs.height, inputs.width),
    }
    return task.build(build_model(**how)), how


def load_and_freeze(net: nn.Module, recipe: Recipe, note: Note) -> None:
    """weights= and freeze=."""
    if recipe.weights is not None:
        weights, _ = load_weights(Path(recipe.weights))
        for line in fit_into(net, weights, allow_head=True):
            note(f"weights: {line}")
    if recipe.freeze is None:
        return
    names = [name for name, _ in net.named_parameters()]
    prefix = recipe.freeze
    still = [n for n in names if n.startswith(prefix)]
    if prefix == "backbone":
        head = names[-1].rpartition(".")[0]
        still = [n for n in names if not n.startswith(head + ".")]
    if not still:
        raise UsageError(f"freeze={prefix} is no prefix of a parameter; they start with: "
                         f"{', '.join(sorted({n.split('.')[0] for n in names})[:12])}")  # fmt: skip
    if len(still) == len(names):
        raise UsageError(f"freeze={prefix} would hold every parameter still; nothing could learn")
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in set(still))


def measure(net: nn.Module, task: Task) -> tuple[int, int]:
    """Parameters and multiply-adds of one sample, for the speed policy."""
    inputs = task.inputs()
    shape = (inputs.channels, inputs.height, inputs.width)
    params = count_params(net)
    try:
        return params, count_macs(net, shape)
    except Exception:  # a user's network that does not run on the meta device
        return params, params  # each weight is used at least once


def make_feed(part: SampleSet, task: Task, recipe: Recipe, machine: Machine) -> Feed:
    """In memory where it fits and is the same each time it is read, else streamed."""
    size = task.encode([part[0]]).x.nbytes * len(part)
    if part.repeatable and fits_in_memory(size, machine):
        return Resident(encode_all(part, task), recipe.batch or 1)
    return Streamed(part, task, recipe.batch or 1, recipe.workers or 0)


def check_round_trip(task: Task, feed: Feed) -> None:
    """A perfect answer must get a perfect score: metric(decode(oracle(batch))) at its ceiling.

    It catches what no loss shows: an off-by-one class, a wrong axis, a shifted box.
    """
    batch = next(iter(feed.in_order()))
    metric = task.metric()
    metric.update(task.decode(task.oracle(batch), batch), task.targets(batch))
    score = metric.compute()[type(task).score]
    if score < task.ceiling:
        raise DataError(
            f"a perfect answer would score {type(task).score} {score:.3f} on this data, not "
            f"{task.ceiling}: its targets do not survive encoding; `snellen check` looks closer"
        )
