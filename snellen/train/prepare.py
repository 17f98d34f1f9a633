"""From settings to a job: the data opened, the task read off it, the network built and placed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ..core import registry
from ..core.cores import Neighbours
from ..core.errors import DataError, UsageError
from ..core.seeds import seed_everything, untouched_rng
from ..data.audit import screen
from ..data.augment import compose
from ..data.classes import numbered_by
from ..data.open import open_data
from ..data.sample import Target
from ..data.source import Part, Problem, SampleSet, Source
from ..models import find_network, freeze_through, load_weights, row
from ..models import model as build_model
from ..nn._limits import Limits, limits, without_maps
from ..nn.count import count_macs, count_params
from ..tasks.compute import Compute, at_once
from ..tasks.reading import why_whole
from ..tasks.settle import settle
from ..tasks.task import Task
from .feed import Feed, order
from .held import encode
from .idle import refuse_powerless
from .plan import Plan, resolve
from .recipe import Recipe
from .rehearsal import rehearse
from .residence import Told, home, make_feeds
from .speed import Facts, Machine

Note = Callable[[str], None]
ROUNDING = 1e-5  # of a score in single precision; a box that is shifted by a pixel loses more
SLIPS = ("label-size-wrong", "box-axes-exchanged", "box-shifted")  # why targets may not survive
JUDGED, LOOKED = 64, 1024  # rows of the round trip: judged, and looked at


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
    data_notes: Sequence[str] = ()  # what was said when they were read; grows while they are

    @property
    def recipe(self) -> Recipe:
        """Every setting, filled."""
        return self.plan.recipe


def prepare(
    recipe: Recipe,
    typed: dict[str, Any],
    given: dict[str, Any],
    note: Note,
    *,
    before: Plan | None = None,
) -> Job:
    """Settings -> job. `given` holds what only Python can pass: data, model (an nn.Module), spec.

    `before` is the plan of the run that goes on: who set what and why is kept, and the weights
    come from its checkpoint. Raises DataError or UsageError before anything is written.
    """
    data_notes: list[str] = []

    def of_data(line: str) -> None:
        data_notes.append(line)
        note(line)

    neighbours = Neighbours()
    seed_everything(recipe.seed)
    counts_from = (given.get("spec") or {}).get("counts_from")
    source = read_source(recipe, given.get("data"), of_data, counts_from)
    if typed.get("split") and source.val is not None and "split" not in source.facts:
        of_data(f"split={typed['split']} is not used: there are validation data")
    task = make_task(recipe, source, given.get("spec"))
    if before is not None:  # a class may be named no more, or in another place
        source = numbered_by(source, task.spec.get("classes", source.classes))
    own = given.get("model")
    pictures = source.train[0].image_CHW.dtype == torch.uint8
    usual = task.usual_model() if own is None else None
    facts = Facts(len(source.train), pictures=pictures, model=usual, usual=task.usual_settings())
    plan = resolve(recipe, typed, facts) if before is None else before.again(recipe, typed)
    compose(plan.recipe.augment)  # a misspelt word is said before a folder is made
    machine = Machine.here(neighbours)
    seed_everything(plan.recipe.seed)  # again: the network does not depend on how data were read
    net, how = make_net(plan.recipe, task, own)
    if before is None and plan.recipe.weights is not None:
        load(net, plan.recipe.weights, note)
    freeze(net, plan.recipe.freeze)
    facts = of_network(facts, net, task)
    if own is not None:
        facts = tried(facts, net, task, plan, machine)
    plan = plan.then(facts, machine)
    refuse_powerless(plan.recipe, typed, facts)
    if plan.recipe.amp == "bf16" and not machine.multiplies_bf16(plan.recipe.device):
        note("amp=bf16 is slower than amp=off here: no bf16 units")
    plan = plan.filled([home(source, task, plan.recipe, machine)])
    done = plan.recipe
    compute = Compute.of(done.device, done.amp, done.channels_last)
    train, val = make_feeds(source, task, done, Told(of_data))
    if lost := check_round_trip(task, source.train, source.problems):
        of_data(f"data: {lost}")
    if own is not None:
        rehearse(net, task, train, compute)
    return Job(source, task, net, how, plan, compute, train, val, given.get("data"), data_notes)


def read_source(recipe: Recipe, data: Any, note: Note, counts_from: int | None = None) -> Source:
    """Open the data for the task, leave out what cannot be read or learned, and say so; of a run
    that goes on `counts_from` is its spec's.
    """
    if data is None and recipe.data is None:
        raise UsageError(
            "no data: give a folder, a file, or a word such as digits: snellen train digits"
        )
    source = open_data(
        recipe.data if data is None else data, val=recipe.val, split=recipe.split,
        fold=recipe.fold, seed=recipe.seed, task=recipe.task or "classify", counts_from=counts_from,
    )  # fmt: skip
    source = task_kind(recipe).adapt(source)
    for problem in source.problems:
        note(f"data: {problem}")
    if source.val is not None and not len(source.val):
        why = next((f": {p.message}" for p in reversed(source.problems) if p.part == "val"), "")
        raise DataError(f"the validation part of {source.name} ({source.format}) has no sample to "
                        f"be judged by{why}; name other data with val=")  # fmt: skip
    train = readable(source.train, "train", note)
    val = None if source.val is None else readable(source.val, "val", note)
    return replace(source, train=train, val=val)


def readable(part: SampleSet, name: str, note: Note) -> SampleSet:
    """A part without what cannot be read, each left-out file or row named."""
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


def task_kind(recipe: Recipe) -> type[Task]:
    """The task by its name."""
    kind: type[Task] = registry.get("snellen.tasks", "TASKS", recipe.task or "classify")
    return kind


def make_task(recipe: Recipe, source: Source, spec: dict[str, Any] | None) -> Task:
    """The task by its name, with the spec of the run that is resumed or read off the data."""
    kind = task_kind(recipe)
    if spec is not None:
        return kind(spec)
    task = kind.from_source(source, recipe.imgsz)
    if source.counts_from is not None:
        task.spec["counts_from"] = source.counts_from  # so that other data are read alike
    for name in ("loss", "label_smoothing", "bins", "scale", "noise"):
        value = getattr(recipe, name)
        if not value:
            continue
        if name not in kind.settings:
            raise UsageError(f"{name}={value} says nothing to task={kind.name}; leave it out")
        task.spec[name] = value
    return task


def make_net(recipe: Recipe, task: Task, own: nn.Module | None) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and what a checkpoint needs to build it again."""
    if own is not None:
        return task.build(settle(own, task)), {"name": None, "class": type(own).__qualname__}
    inputs, outputs = task.inputs(), task.num_outputs()
    if outputs == 0:
        return task.build(None), {"name": None, "class": type(task).__qualname__}
    refuse_foreign(recipe.model or "", task)
    how: dict[str, Any] = {
        "name": recipe.model,
        "classes": outputs,
        "channels": inputs.channels,
        "imgsz": max(inputs.height, inputs.width),
    }
    return task.build(build_model(**how)), how


def refuse_foreign(name: str, task: Task) -> None:
    """Raise UsageError for a network of the zoo that answers another task's question."""
    of = row(name).task
    if of not in (type(task).trains or (row(task.default_model).task,)):
        raise UsageError(
            f"{name} is a network for task={of}; task={task.name} trains others, "
            f"{task.usual_model()} for example; `snellen models` lists them"
        )


def load(net: nn.Module, file: str, note: Note) -> None:
    """weights=: a checkpoint to start from; a head of another size keeps its fresh weights."""
    for line in load_weights(net, file):
        note(f"weights: {line}")


def freeze(net: nn.Module, prefix: str | None) -> None:
    """freeze=: hold still all up to a stage, what a prefix names, or all but the last layer
    ("backbone").

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> freeze(net, "backbone"); [p.requires_grad for p in net.parameters()]
    [False, False, True, True]
    """
    if prefix is None:
        return
    names = [name for name, _ in net.named_parameters()]
    stem = prefix.rstrip(".")
    still = {n for n in names if n == stem or n.startswith(f"{stem}.")}
    at, network = find_network(net)
    if network is not None and stem.removeprefix(at) in network.stages:
        held = freeze_through(network, stem.removeprefix(at))
        still = {n for n in names if n.startswith(tuple(at + start for start in held))}
    if prefix == "backbone" and not still:
        head = names[-1].rpartition(".")[0]
        still = {n for n in names if not n.startswith(f"{head}.")}
    if not still:
        raise UsageError(f"freeze={prefix} is no prefix of a parameter; they start with: "
                         f"{', '.join(sorted({n.split('.')[0] for n in names})[:12])}")  # fmt: skip
    if len(still) == len(names):
        raise UsageError(f"freeze={prefix} would hold every parameter still; nothing could learn")
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in still)


def of_network(facts: Facts, net: nn.Module, task: Task) -> Facts:
    """The facts with what the speed policy must know of a network."""
    inputs = task.inputs()
    shape = (inputs.channels, inputs.height, inputs.width)
    params = count_params(net)
    try:
        macs = count_macs(net, shape)
    except Exception:  # a user's network that does not run on the meta device
        macs = params  # each weight is used at least once
    return replace(
        facts,
        params=params,
        macs=macs,
        layers=sum(not any(module.children()) for module in net.modules()),
        values=math.prod(shape),
        whole=why_whole(task),
        limits=Limits(without_maps(net)),
    )


def tried(facts: Facts, net: nn.Module, task: Task, plan: Plan, machine: Machine) -> Facts:
    """The facts with what the user's network does not take of what would be chosen for it."""
    inputs, blank, would = task.inputs(), plan.recipe, plan.then(facts, machine).recipe
    last = blank.channels_last is None and bool(would.channels_last)
    bf16 = blank.amp is None and would.amp == "bf16"
    shape = (inputs.channels, inputs.height, inputs.width)
    return replace(facts, limits=limits(net, shape, last=last, bf16=bf16))


def check_round_trip(task: Task, part: SampleSet, problems: Sequence[Problem] = ()) -> str:
    """A perfect answer must get a perfect score, metric(decode(oracle(batch))) at its ceiling ->
    what the task knows to be lost all the same.

    It catches what is lost between the targets and the loss: a box that is shifted, a class off by
    one, things that no cell can hold. JUDGED rows from all over the part are judged, more where
    these hold nothing to be told; where LOOKED hold nothing, nothing is said. Of `problems` the
    one that is said of boxes as a whole may be why.
    """
    metric, step, targets = task.metric(), at_once(task.inputs()), list[Target]()
    rows = order(len(part), seed=0, epoch=0)[:LOOKED].tolist()
    for low in range(0, len(rows), step):
        if low >= JUDGED and metric.has_truths:
            break
        with untouched_rng():
            batch = encode(task, [part[i] for i in rows[low : low + step]])
        targets += [replace(one, masks_NHW=None, semantic_HW=None) for one in batch.targets or []]
        metric.update(task.decode(task.oracle(batch), batch), batch.targets or [])
    score, lost = metric.compute()[type(task).score], task.lost(targets)
    lost = lost and f"of {len(targets)} samples looked at, {lost}"
    if metric.has_truths and score < task.ceiling - ROUNDING:
        slip = next((str(p) for p in problems if p.id in SLIPS), "")
        why = slip or lost or "a larger imgsz= may hold them, and `snellen check` looks closer"
        raise DataError(
            f"a perfect answer would score {type(task).score} {score:.3f} on this data, not "
            f"{task.ceiling}: its targets do not survive encoding; {why}"
        )
    return lost
