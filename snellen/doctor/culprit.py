"""The culprit search: when something turns non-finite, which samples did it, where and by what?

Order by cost (10,000 samples, LeNet: static scan 9 ms, one pass 0.6 s, the note's way 13 s):
1. the batch's own inputs and targets; 2. the graph of the loss; 3. the batch again in eval mode
with a loss for each row; then the rest of the data set by the same test, bounded in time. The
causes: "data" an item is not finite; "sample" a finite item whose own loss or gradient is not;
"step" no sample is guilty. The weights are still those before the step; nothing is changed.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from . import graph
from .loader import Record, innermost, path_of, row_of, tensors_of
from .mishap import read_traceback
from .probes._measure import bad_rows, first_tensor
from .probes._probe import Feed
from .probes.inputs import batch_values
from .replay import (
    LossOf,
    bad_gradients,
    bad_losses,
    bad_outputs,
    first_bad_module,
    loss_of,
    select,
)
from .scan import MOST, SECONDS, order, scan

CHUNK = 256
SHOWN = 16  # samples whose content is described
GREW = 100.0  # times the first loss or weight: the training had diverged before


@dataclass
class Verdict:
    """What the search says; rows are those of the batch, samples those of the loader's set."""

    cause: str = "step"
    rows: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    module: str = ""
    operation: str = ""
    searched: int = 0
    content: dict[int, Any] = field(default_factory=dict)
    field: str = "image"  # last: the name hides the dataclasses' own


class Search:
    """Searches once a training; later non-finite values are only counted."""

    def __init__(self, engine: Any, doc: Any) -> None:
        self.engine, self.doc = engine, doc
        self.loss_fn: Any = None
        self.count = 0

    def nonfinite(self, what: str, feed: Feed | None, loss: Tensor | None) -> None:
        """Something is not finite: search at the first time, and emit what was found."""
        self.count += 1
        if self.count > 8:
            return
        values: dict[str, Any] = {"what": what}
        lost = [name for patient in self.engine.patients for name in patient.lost()]
        if lost:
            values |= {"parameter": lost[0], "weights_lost": len(lost)}
        if self.count > 1 or feed is None:
            self.engine.emit("nonfinite", self.engine.step, values=values)
            return
        with self.doc.suspended():
            verdict = self.engine.guarded(self._search, what, feed, loss, bool(lost)) or Verdict()
        values |= {"module": verdict.module, "operation": verdict.operation}
        self.engine.emit("nonfinite", feed.step, values=values)
        self._emit(verdict, self._record(feed), feed.step)

    def finish(self, error: BaseException | None) -> None:
        """At the end: what the exception's frames and a batch without a backward pass tell."""
        feed, failed = self.engine.feed, False
        if error is not None:
            failed = read_traceback(self.engine, error)
        if feed is None or not feed.training:
            return
        x = first_tensor(feed.args, feed.kwargs)
        if error is not None and x is not None:
            values = batch_values(x)
            self.engine.emit("batch", feed.step, split="train", values=values)
        if self.count or failed or isinstance(error, KeyboardInterrupt):
            return
        with self.doc.suspended():
            verdict = self._search("loss", feed, None, lost=False)
        if verdict.cause != "step":  # a loop that leaves on a bad loss never reaches backward
            self.engine.emit("nonfinite", feed.step, values={"what": "loss"})
            self._emit(verdict, self._record(feed), feed.step)

    def preflight(self, dataset: Any, split: str) -> None:
        """Look through a data set before training: items that are not finite."""
        found, searched = scan(dataset)
        if found:
            verdict = Verdict("data", samples=sorted(found), searched=searched)
            verdict.field = next(iter(found.values()))["field"]
            verdict.content = {i: found[i] for i in sorted(found)[:SHOWN]}
            self._emit(verdict, Record(dataset, [], split=split), self.engine.step)

    def _search(self, what: str, feed: Feed, loss: Tensor | None, lost: bool) -> Verdict:
        record = self._record(feed)
        verdict = self._static(feed, record, lost)
        if verdict is not None:
            return verdict
        if lost or self._diverged(feed):
            return Verdict("step", searched=self._batch_size(feed))
        verdict = Verdict("step", searched=self._batch_size(feed))
        if loss is not None and loss.grad_fn is not None:
            verdict.rows, verdict.operation = graph.guilty_rows(loss, self._batch_size(feed))
        target = self._target(feed, record, loss)
        again = Again(feed, record, target, loss_of(self.loss_fn, self.engine.template), what)
        self.engine.guarded(again.judge, verdict)
        if verdict.rows and len(verdict.rows) <= max(1, self._batch_size(feed) // 2):
            verdict.cause = "sample"
        else:
            verdict.rows = []
        return verdict

    def _static(self, feed: Feed, record: Record | None, lost: bool) -> Verdict | None:
        """Items that are not finite: in the batch as it reached the network, then everywhere."""
        size = self._batch_size(feed)
        rows, where = set(), ""
        given = [("image", t) for _, t in tensors_of([*feed.args, *feed.kwargs.values()])]
        if record is not None and record.data is not None:
            data = tensors_of(record.data)
            given += [("target" if i else "image", t) for i, (_, t) in enumerate(data)]
        for name, t in given:
            if t.dim() and len(t) == size and len(bad := bad_rows(t).tolist()):
                rows.update(bad)
                where = where or name
        indices = record.indices() if record is not None else None
        unseen = record is not None and record.data is None and indices is not None
        if not rows and not lost and not unseen:
            return None
        found, searched = scan(record.dataset, indices or ()) if record else ({}, size)
        if not rows and not lost and not found.keys() & set(indices or ()):
            return None
        if not rows and not found:
            return None
        verdict = Verdict("data", sorted(rows), sorted(found), field=where, searched=searched)
        verdict.field = where or next(iter(found.values()))["field"]
        verdict.content = {i: found[i] for i in sorted(found)[:SHOWN]}
        return verdict

    def _diverged(self, feed: Feed) -> bool:
        """Whether loss or weights had grown out of all bounds before: then no sample did it."""
        losses = [v for v in self.engine.chart.column("loss") if math.isfinite(v)]
        if len(losses) > 1 and max(map(abs, losses[-3:])) > GREW * (abs(losses[0]) + 1e-3):
            return True
        traces = self.engine.chart.params
        for name, p in feed.patient.inner.named_parameters():
            first = traces[n].column("weight_norm")[:1] if (n := feed.patient.prefix + name) \
                in traces else []  # fmt: skip
            if first and float(p.detach().norm()) > GREW * (first[0] + 1):
                return True
        return False

    def _batch_size(self, feed: Feed) -> int:
        x = first_tensor(feed.args, feed.kwargs)
        return len(x) if x is not None and x.dim() else 1

    def _record(self, feed: Feed) -> Record | None:
        """The loader's batch that this forward pass used: by its values, else the latest."""
        x = first_tensor(feed.args, feed.kwargs)
        for record in reversed(self.engine.loaders.recent):
            if record.data is not None and x is not None and place_of(record.data, x) is not None:
                return record
        return feed.record

    def _target(self, feed: Feed, record: Record | None, loss: Tensor | None) -> Tensor | None:
        size = self._batch_size(feed)
        if record is not None and record.data is not None:
            inputs = {id(t) for _, t in tensors_of([*feed.args, *feed.kwargs.values()])}
            rest = [t for _, t in tensors_of(record.data)[1:]
                    if t.dim() and len(t) == size and id(t) not in inputs]  # fmt: skip
            if rest:
                return rest[0]
        if loss is not None and loss.grad_fn is not None:
            saved = graph.saved_target(loss, size)
            if saved is not None:
                return saved
        if record is not None and record.data is None and record.indices() is not None:
            items = [record.dataset[i] for i in record.indices() or ()]
            data = tensors_of(default_collate(items))
            return data[1][1] if len(data) > 1 else None
        return None

    def _emit(self, verdict: Verdict, record: Record | None, step: int) -> None:
        """The culprit event, in rows of the innermost data set where they are known."""
        values: dict[str, Any] = {"cause": verdict.cause, "searched": verdict.searched,
                                  "field": verdict.field, "values": verdict.content}  # fmt: skip
        values |= {"module": verdict.module, "operation": verdict.operation}
        samples, known = self._samples(verdict, record)
        if known and record is not None:
            values["values"] = {str(row_of(record.dataset, i)): content
                                for i, content in verdict.content.items()}  # fmt: skip
        values |= {"samples": samples[:MOST], "samples_of": "batch"}
        if known and record is not None:
            inner = innermost(record.dataset)
            split = record.split or self.doc.split_of(record.dataset)
            name = self.doc.path_of or (lambda i: path_of(inner, i))
            paths = [name(i) for i in samples]
            values |= {"samples_of": split, "split": split, "paths": [p for p in paths if p]}
        self.engine.emit("culprit", step, values=values)

    def _samples(self, verdict: Verdict, record: Record | None) -> tuple[list[int], bool]:
        indices = record.indices() if record is not None else None
        if record is None or record.dataset is None or indices is None:
            return verdict.rows, False
        dealt = set(verdict.samples)
        # Rows that the loop itself spoilt (their items are finite) are named only if no item is.
        if not dealt or verdict.cause == "sample":
            dealt |= {indices[row] for row in verdict.rows if row < len(indices)}
        return sorted({row_of(record.dataset, i) for i in dealt}), True


class Again:
    """One batch again, and the rest of its data set where its items are what the network gets."""

    def __init__(
        self, feed: Feed, record: Record | None, target: Tensor | None, call: LossOf | None,
        what: str,
    ) -> None:  # fmt: skip
        self.feed, self.record, self.target = feed, record, target
        self.call = call if target is not None else None
        self.gradients = what == "gradient"
        x = first_tensor(feed.args, feed.kwargs)
        self.x, self.size = x, len(x) if x is not None and x.dim() else 1

    def judge(self, verdict: Verdict) -> None:
        """Fill in the rows, the module and the operation, and the other guilty samples."""
        with self.feed.patient.replayed() as net:
            args, kwargs, size = self.feed.args, self.feed.kwargs, self.size

            def run(rows: Tensor) -> Any:
                return net(*select(args, rows, size), **select(kwargs, rows, size))

            rows = self._rows(net, run, self.target, size)
            if rows:
                verdict.rows = rows
            if not verdict.rows or len(verdict.rows) > max(1, size // 2):
                return
            guilty = torch.tensor(verdict.rows)
            name, kind = first_bad_module(net, lambda: run(guilty))
            verdict.module = self.feed.patient.prefix + name if name else ""
            verdict.operation = kind or verdict.operation or self._loss_name()
            if rows and self.record is not None:
                self._rest(net, verdict)

    def _loss_name(self) -> str:
        return "gradient" if self.gradients else "loss"

    def _rows(self, net: Any, run: Any, target: Tensor | None, size: int) -> list[int]:
        out = run(torch.arange(size))
        rows = set(bad_outputs(out, size))
        if self.call is not None and target is not None:
            rows.update(bad_losses(self.call, out, target.to(_device(out)), size))
            if not rows and self.gradients:
                rows.update(bad_gradients(net, self.call, run, target.to(_device(out))))
        return sorted(rows)

    def _rest(self, net: Any, verdict: Verdict) -> None:
        """The same test over the whole data set, in batches, bounded in time."""
        record, x = self.record, self.x
        indices = record.indices() if record is not None else None
        if record is None or indices is None or x is None or not hasattr(record.dataset, "__len__"):
            return
        only_x = len([t for _, t in tensors_of([*self.feed.args, *self.feed.kwargs.values()])]) == 1
        place = place_of(record.data, x) if record.data is not None else 0
        if place is None or not only_x:
            return
        end = time.monotonic() + SECONDS
        todo = list(order(len(record.dataset), indices))
        for start in range(0, len(todo), CHUNK):
            rows = todo[start : start + CHUNK]
            data = tensors_of((record.collate or default_collate)(
                [record.dataset[i] for i in rows]))  # fmt: skip
            batch = data[place][1].to(x.device, x.dtype).reshape(len(rows), *x.shape[1:])
            target = data[1][1].reshape(len(rows), *self.target.shape[1:]) \
                if self.target is not None and len(data) > 1 else None  # fmt: skip
            bad = self._rows(net, lambda r, b=batch: net(b[r]), target, len(rows))
            verdict.samples += [rows[i] for i in bad]
            verdict.searched = start + len(rows)
            if time.monotonic() > end:
                break


def place_of(data: Any, x: Tensor) -> int | None:
    """Which tensor of a batch the network received, seen by its values."""
    for place, (_, t) in enumerate(tensors_of(data)):
        if t is x or (t.data_ptr() == x.data_ptr() and t.numel() == x.numel()):
            return place
        if t.numel() == x.numel() and t.numel() and t.is_floating_point() == x.is_floating_point():
            same = torch.equal(t.to(x.device, x.dtype).nan_to_num().flatten(),
                               x.detach().nan_to_num().flatten())  # fmt: skip
            if same:
                return place
    return None


def _device(out: Any) -> torch.device:
    return next((t.device for _, t in tensors_of(out)), torch.device("cpu"))
