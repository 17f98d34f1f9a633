"""The doctor's preflight on a job of Snellen's own: the data, and with "full" the network too."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..data.sample import Batch
from ..data.source import Part as Rows
from ..data.source import SampleSet
from ..doctor.exams._case import Live
from ..doctor.exams._part import Part, of_tensors, spread
from ..doctor.report import text
from ..doctor.watch import Doctor
from .feed import Resident
from .listening import Prepared, items
from .prepare import Job

MOST = {"train": 12_000, "val": 3_000}  # samples looked at; copies are looked for among these


def examine(job: Job, net: nn.Module, doc: Doctor, say: Callable[[str], None]) -> None:
    """Look at what will be trained on, before the first step; what is wrong is said at once."""
    level = job.recipe.preflight
    if level == "off":
        return
    sets = sets_of(job)
    live = live_of_job(job, net) if level == "full" else None
    found = doc.preflight(level, sets=sets, live=live)
    if found:
        say("before the first step: " + text(found))


def sets_of(job: Job) -> dict[str, Any]:
    """The parts as they lie in memory where all of them do, else as they are read: numbers of the
    one and the other way are not to be compared.
    """
    parts = {"train": (job.source.train, job.train), "val": (job.source.val, job.val)}
    there = {name: (samples, feed) for name, (samples, feed) in parts.items()
             if samples is not None and feed is not None}  # fmt: skip
    lying = {name: (samples, feed.held.whole()) for name, (samples, feed) in there.items()
             if isinstance(feed, Resident) and not feed.held.missing}  # fmt: skip
    if len(lying) < len(there):
        return {name: items(samples, job.task) for name, (samples, _) in there.items()}
    return {name: held(job, name, samples, data) for name, (samples, data) in lying.items()}


def held(job: Job, name: str, samples: SampleSet, data: Batch) -> Part:
    """What lies in memory as it lies there."""
    places = spread(len(data), MOST[name])
    whole = len(places) == len(data)
    x = data.x if whole else data.x[places]
    y = data.y.get("label")
    y = y[places] if isinstance(y, Tensor) and y.dim() == 1 else None
    part: Part = of_tensors(name, x, y, rows=innermost_rows(samples, places), places=places,
                            total=len(data), dataset=items(samples, job.task))  # fmt: skip
    part.more["inputs"] = Prepared(data, job.task)
    return part


def innermost_rows(samples: SampleSet, places: Tensor) -> Tensor:
    """Places in a part -> rows of the set that it is a part of, however deep."""
    inner: Any = samples
    while isinstance(inner, Rows):
        inner, places = inner.whole, torch.tensor(inner.rows)[places]
    return places


def live_of_job(job: Job, net: nn.Module) -> Live | None:
    """The first batch that the training will see, with the task's own loss."""
    batch = next(iter(job.train.epoch(0, job.recipe.seed)))
    batch = job.compute.ready(job.task, batch)
    labels = batch.y.get("label")
    is_class = isinstance(labels, Tensor) and labels.dim() == 1

    def chosen(net: nn.Module, rows: Tensor) -> Batch:
        part = batch.select(rows.to(batch.x.device))
        dtype = next((p.dtype for p in net.parameters()), torch.float32)
        return replace(part, x=part.x.to(dtype) if part.x.is_floating_point() else part.x)

    def loss(net: nn.Module, rows: Tensor) -> Tensor:
        return torch.stack([v.reshape(()) for v in
                            job.task.loss(net, chosen(net, rows)).values()]).sum()  # fmt: skip

    def right(net: nn.Module, rows: Tensor) -> float:
        with torch.no_grad():
            part = chosen(net, rows)
            said = job.task.decode(job.task.infer(net, part), part)
        labels = torch.tensor([-1 if one.label is None else one.label for one in said])
        return (labels == part.y["label"].cpu()).float().mean().item()

    kind = "class" if is_class else "other"
    return Live(net, len(batch), loss, right if is_class else None, kind)
