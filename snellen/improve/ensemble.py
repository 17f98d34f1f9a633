"""Several trained networks as one: their predictions averaged, or their weights (notes 003).

What is made is a run folder. Its weights/best holds copies of the members' weights as one network,
so eval, predict, export and verify do with it what they do with any run.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ..core.errors import UnknownName, UsageError
from ..core.fit import fit_into
from ..core.runfolder import RunFolder, create
from ..data.open import need_labels
from ..data.source import Source
from ..tasks.pooled import Pooled
from ..tasks.task import Task
from ..train.checkpoint import save_best
from ..train.evaluate import evaluate
from ..train.feed import Streamed
from ..train.finish import seal
from ..train.judge import compute_of, feed_of
from ..train.logbook import plan_of, write_config, write_surroundings
from ..train.plan import Plan
from ..train.prepare import freeze, read_source
from ..train.rebuild import network
from ..train.recipe import Recipe
from ..train.session import settle_norms
from ..train.verb import part_to_judge
from ..version import __version__
from .average import mean_weights, say_unlike
from .members import Member, read_members

Tell = Callable[[int, int], None]
Say = Callable[[str], None]
Scores = dict[str, float]
AVERAGES = ("predictions", "weights")


@dataclass(frozen=True)
class Ensemble:
    """The run folder of an ensemble, its scores, and those of each member by name."""

    path: Path
    scores: Scores
    members: Mapping[str, Scores]


def ensemble(
    paths: Sequence[str | Path],
    data: Any = None,
    average: str = "predictions",
    *,
    name: str | None = None,
    project: str | Path = "runs",
    say: Say = print,
    tell: Tell = lambda done, total: None,
) -> Ensemble:
    """Runs or checkpoints of one -> a run folder that answers with their mean, and the scores of
    all on the same samples: `data`, or what all of them held out.

    average="weights" makes one network of checkpoints of one training, its batch norms computed
    anew. Raises UsageError where members do not go together, or where some learned from what others
    held out and no `data` is given; nothing is written then.
    """
    if average not in AVERAGES:
        raise UnknownName(average, AVERAGES, "the averages")
    began, members = time.monotonic(), read_members(paths)
    first = members[0]
    if average == "weights":
        say_unlike(members, say)
    elif type(first.task).pool is Task.pool:
        first.task.pool((), ())  # which says why not, before anything is read
    feed = _held_out(members, data, say)
    net, how = _averaged(members, say) if average == "weights" else _pooled(members)
    named: dict[str, Scores] = {}
    for i, member in enumerate(members):
        named[member.name] = _score(_alone(member, first), first, feed)
        tell(i + 1, len(members) + 1)
    scores = _score(net, first, feed)
    tell(len(members) + 1, len(members) + 1)
    folder = create(project, name or f"{re.sub(r'-[0-9]+$', '', first.run.path.name)}-ensemble")
    meta = {"snellen": __version__, "task": first.task.name, "spec": first.meta["spec"],
            "model": how, "metrics": scores}  # fmt: skip
    save_best(folder.best, net.state_dict(), meta)
    facts = {"network": how, "average": average, "members": named, "metrics": scores}
    recipe = _write(folder, first, data, facts)
    _log(folder, recipe, time.monotonic() - began)
    seal(folder)
    return Ensemble(folder.path, scores, named)


def _held_out(members: Sequence[Member], data: Any, say: Say) -> Streamed:
    """The samples that all are judged by."""
    first = members[0]
    if data is None and first.recipe.data is None:
        raise UsageError(f"{first.name} was trained on arrays, which it did not keep; give data=")
    part, source = part_to_judge(first.recipe, data, say, first.task.spec)
    if data is None:
        need_labels(source)
        for other in members[1:]:
            if _split(other.recipe, source) != _split(first.recipe, source):
                raise UsageError(
                    f"{other.name} may have learned from what {first.name} held out (other data, "
                    "or another seed, split or fold), so that no score would be fair; give data= "
                    "that none has learned from, or train all with one fold=1/5 and other seeds"
                )
    return feed_of(part, source, first.task, first.recipe)


def _split(recipe: Recipe, source: Source) -> tuple[Any, ...]:
    """What decides which samples a training holds out."""
    by_share = (recipe.split, recipe.seed) if "split" in source.facts else ()
    places = (str(Path(word).resolve()) for word in (recipe.data or "", recipe.val or ""))
    return (*places, recipe.fold, *by_share)


def _pooled(members: Sequence[Member]) -> tuple[nn.Module, dict[str, Any]]:
    """The members side by side, and what a checkpoint needs to build them again."""
    nets = [_network(member) for member in members]
    parts = [{"model": one.meta["model"], "spec": one.meta["spec"]} for one in members]
    pooled = Pooled(nets, [one.task for one in members], members[0].task)
    return pooled, {"members": parts}


def _alone(member: Member, first: Member) -> nn.Module:
    """One member as `first`'s task feeds and decodes it."""
    net = _network(member)
    if member.meta["spec"] == first.meta["spec"]:
        return net
    return Pooled([net], [member.task], first.task)


def _network(member: Member) -> nn.Module:
    net = network(member.meta["model"], member.task)
    fit_into(net, member.weights)
    return net


def _averaged(members: Sequence[Member], say: Say) -> tuple[nn.Module, dict[str, Any]]:
    """One network with the mean of the weights; batch norm statistics over the training part."""
    first, net = members[0], _network(members[0])
    fit_into(net, mean_weights([member.weights for member in members]))
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules()):
        return net, first.meta["model"]
    if first.recipe.data is None:
        raise UsageError(
            f"{first.name} was trained on arrays, which it did not keep: its batch norms would need"
            " them after an average=weights; average=predictions does not"
        )
    source = read_source(first.recipe, None, say)
    compute = compute_of(first.recipe)
    net = compute.place(net)
    freeze(net, first.recipe.freeze)  # what stood still keeps its statistics
    net.train()
    train = feed_of(source.train, source, first.task, first.recipe)
    settle_norms(net, first.task, train, compute)
    return net, first.meta["model"]


def _score(net: nn.Module, first: Member, feed: Streamed) -> Scores:
    compute = compute_of(first.recipe)
    return evaluate(compute.place(net), first.task, feed, compute).metrics


def _write(folder: RunFolder, first: Member, data: Any, facts: dict[str, Any]) -> Recipe:
    """config.yaml of a run that is judged by what the members were -> its recipe."""
    plan, judged = plan_of(first.config), dict[str, Any]()
    places = dict(first.config.get("places", {}))
    if isinstance(data, str | Path):
        judged = {"val": str(data), "fold": None}
        places["val"] = str(Path(data).resolve()) if Path(data).exists() else None
    parts = facts["network"].get("members", ())
    model = "+".join(part["model"].get("name", "ensemble") for part in parts)
    said = {**judged, "name": None, "project": str(folder.path.parent), "weights": None}
    said["model"] = model or first.recipe.model
    recipe = replace(first.recipe, **said)
    kept = {name: first.config.get(name) for name in ("task", "format", "classes", "samples")}
    places = {name: place for name, place in places.items() if place and name != "weights"}
    set_by = {**plan.set_by, **dict.fromkeys(said, "you")}
    write_config(folder, Plan(recipe, set_by, ()), {**kept, "places": places, **facts})
    write_surroundings(folder, recipe.threads)
    return recipe


def _log(folder: RunFolder, recipe: Recipe, seconds: float) -> None:
    """The two events by which `snellen runs` knows it."""
    log = folder.open_events()
    log.write("start", 0, command=sys.argv, recipe=recipe.as_dict(), set_by={})
    log.write("end", 0, status="finished", seconds=round(seconds, 3))
    log.close()
