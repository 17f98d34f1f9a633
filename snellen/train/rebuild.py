"""A file of weights -> its network and its task: for all that comes after a training.

What a checkpoint says of its network is `name` and sizes of one of ours, the class of the user's
own, or `members`: an ensemble, each member with its own network and spec.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..core import registry
from ..core.errors import DataError, UsageError
from ..core.fit import fit_into
from ..models import model as build_model
from ..tasks.pooled import Pooled
from ..tasks.settle import own_copy
from ..tasks.task import Task
from .checkpoint import load_weights


def rebuild(path: Path, own: nn.Module | None = None) -> tuple[nn.Module, Task, dict[str, Any]]:
    """weights/best.safetensors -> network, task and meta. A run of the user's own module needs it.

    Raises DataError for a file of weights only, UsageError where the module is missing.
    """
    weights, meta = load_weights(path)
    if "spec" not in meta:
        raise DataError(f"{path} holds weights only, no task; train with weights={path} instead")
    how, task = meta["model"], task_of(meta)
    need_module(path.parent.parent, meta, own)
    net = network(how, task) if own is None else task.build(own_copy(own, task))
    fit_into(net, weights)
    return net, task, meta


def need_module(run: Path, meta: Mapping[str, Any], own: nn.Module | None) -> None:
    """Raise UsageError where a run's weights are of the user's own module, and it is not given."""
    how = meta.get("model", {})
    if own is None and "class" in how:
        raise UsageError(
            f"{run} was trained with your own module {how['class']}; "
            f"give it: sn.load({str(run)!r}, model=net); sn.Run({str(run)!r}) reads the rest"
        )


def network(how: Mapping[str, Any], task: Task) -> nn.Module:
    """What a checkpoint says of its network -> that network with fresh weights."""
    if "members" not in how:
        return task.build(build_model(**how))
    tasks = [task_of({**one, "task": task.name}) for one in how["members"]]
    nets = [network(one["model"], own) for one, own in zip(how["members"], tasks, strict=True)]
    return Pooled(nets, tasks, task)


def task_of(meta: Mapping[str, Any]) -> Task:
    """What a checkpoint says of its task -> that task."""
    task: Task = registry.get("snellen.tasks", "TASKS", meta["task"])(meta["spec"])
    return task
