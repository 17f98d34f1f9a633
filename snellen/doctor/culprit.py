"""The culprit search: when something turns non-finite, which samples did it, where and by what?

Order by cost (10,000 samples, LeNet: static scan 9 ms, one pass 0.6 s, the note's way 13 s):
1. the batch's own inputs and targets; 2. the graph of the loss; 3. the batch again in eval mode
with a loss for each row; then the rest of the data set by the same test, bounded in time. The
causes: "data" an item is not finite; "sample" a finite item whose own loss or gradient is not;
"step" no sample is guilty. The weights are still those before the step; nothing is changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate

from ..core.patience import patience
from . import graph
from .again import Again, Verdict, likeness, place_of
from .apart import apart
from .labels import few, outside
from .loader import Record, innermost, items_of, length_of, path_of, row_of, tensors_of
from .mishap import diverged, read_traceback, refused_labels
from .probes._measure import bad_rows, first_tensor
from .probes._probe import Feed
from .probes.inputs import batch_values
from .replay import loss_of
from .scan import MOST, SECONDS, outliers, scan
from .suspects import Suspects

SHOWN = 16  # samples whose content is described


class Search:
    """Searches once a training; later non-finite values are only counted."""

    def __init__(self, engine: Any, doc: Any) -> None:
        self.engine, self.doc = engine, doc
        self.count = 0
        self.may_call = True  # the data set, the network and the loss
        self._left: dict[str, Any] = {}  # what a search had no time for
        self.sets: dict[str, Any] = {}  # those that samples were named of
        self.suspects = Suspects()
        self._is_named = False

    def nonfinite(self, what: str, feed: Feed | None, loss: Tensor | None) -> None:
        """Something is not finite: search at the first time, and emit what was found."""
        self.count += 1
        if what == "loss" and not self._is_named and feed is not None:
            self.suspects.met(self._record(feed), is_bad=True)
            self.engine.on_finite = self.passed
        if self.count > 8:
            return
        values: dict[str, Any] = {"what": what}
        lost = [name for patient in self.engine.patients for name in patient.lost()]
        if lost:
            values |= {"parameter": lost[0], "weights_lost": len(lost)}
        if self.count > 1 or feed is None:
            self.engine.emit("nonfinite", self.engine.step, values=values)
            return
        with self._calling(feed):
            verdict = self.engine.guarded(self._search, what, feed, loss, bool(lost)) or Verdict()
        values |= {"module": verdict.module, "operation": verdict.operation}
        self.engine.emit("nonfinite", feed.step, values=values)
        self._emit(verdict, self._record(feed), feed.step)
        self._is_named = verdict.cause != "step"

    def passed(self, feed: Feed) -> None:
        """A backward pass of a finite loss, after another that was not."""
        if self.suspects.items and not self._is_named:
            self.suspects.met(self._record(feed), is_bad=False)

    def _narrowed(self) -> None:
        """At the end: the items that no good batch had, and every bad one."""
        record, samples = self.suspects.record, self.suspects.named()
        if samples and record is not None and not self._is_named:
            self._is_named = True
            verdict = Verdict("sample", samples=samples, searched=len(samples))
            told = {"bad_batches": self.suspects.bad, "good_batches": self.suspects.good}
            self._emit(verdict, record, self.engine.step, **told)

    def finish(self, error: BaseException | None) -> None:
        """At the end: what the exception's frames and a batch without a backward pass tell."""
        self.engine.guarded(self._narrowed)
        feed, failed = self.engine.feed, False
        if error is not None:
            failed = read_traceback(self.engine, error)
        if feed is None or not feed.training:
            return
        x = first_tensor(feed.args, feed.kwargs)
        if error is not None and x is not None:
            values = batch_values(x)
            self.engine.emit("batch", feed.step, split="train", values=values)
        if refused := refused_labels(self.engine.chart, error):
            with self._calling(feed):
                failed = self._labels(self._record(feed), *refused) or failed
        if self.count or failed or isinstance(error, KeyboardInterrupt):
            return
        with self._calling(feed):
            verdict = self._search("loss", feed, None, lost=False)
        if verdict.cause != "step":  # a loop that leaves on a bad loss never reaches backward
            self.engine.emit("nonfinite", feed.step, values={"what": "loss"})
            self._emit(verdict, self._record(feed), feed.step)

    @contextmanager
    def _calling(self, feed: Feed) -> Iterator[None]:
        """User code may be called inside, unless what it changes could not be put back."""
        records = [r for r in (*self.engine.loaders.recent, feed.record) if r is not None]
        homes = [home for r in records for home in (r.dataset, r.collate)]
        with apart(self.engine, "the data set or network", *homes) as self.may_call:
            yield

    def met(self, feed: Feed, loss: Tensor | None) -> tuple[Record | None, Tensor | None]:
        """What a forward pass belongs to: the loader's batch and the target, where they show."""
        record = self._record(feed)
        return record, self._target(feed, record, loss)

    def preflight(self, dataset: Any, split: str) -> None:
        """Look through a data set before training: items that are not finite."""
        with apart(self.engine, "the data set", dataset) as free:
            found, searched = scan(dataset, unread=self._unread) if free else ({}, 0)
        if free:
            self._seen_all(dataset, searched)
        if found:
            verdict = Verdict("data", samples=sorted(found), searched=searched)
            verdict.field = next(iter(found.values()))["field"]
            verdict.content = {i: found[i] for i in sorted(found)[:SHOWN]}
            self._emit(verdict, Record(dataset, [], split=split), self.engine.step)

    def _labels(self, record: Record | None, classes: int, ignored: int) -> bool:
        """The items whose labels no output answers for; whether the batch that failed has one."""
        dealt = record.indices() if record is not None else None
        if record is None or dealt is None or not self.may_call:
            return False
        found = outside(record.dataset, classes, ignored=ignored, first=dealt, unread=self._unread)
        self._seen_all(record.dataset, found.searched)
        if not found.rows.keys() & set(dealt):
            return False
        verdict = Verdict("label", searched=found.searched, field="target")
        if few(found.counts, classes):  # a shift is told by its range; nobody reads a thousand rows
            verdict.samples = sorted(found.rows)
            verdict.content = {i: {"label": found.rows[i]} for i in verdict.samples[:SHOWN]}
        self._emit(verdict, record, self.engine.step, **found.facts(classes))
        return True

    def _search(self, what: str, feed: Feed, loss: Tensor | None, lost: bool) -> Verdict:
        record = self._record(feed)
        verdict = self._static(feed, record, lost)
        if verdict is not None:
            return verdict
        if lost or diverged(self.engine.chart, feed.patient):
            return self._sticking_out(feed, record)
        verdict = Verdict("step", searched=self._batch_size(feed))
        if loss is not None and loss.grad_fn is not None:
            verdict.rows, verdict.operation = graph.guilty_rows(loss, self._batch_size(feed))
        target = self._target(feed, record, loss)
        call = loss_of(self.engine.loss_fn, self.engine.template)
        if self.may_call:
            again = Again(feed, record, target, call, what)
            self.engine.guarded(again.judge, verdict)
            if record is not None and again.is_stopped:
                self._seen_all(record.dataset, verdict.searched)
        few = len(verdict.rows) <= max(1, self._batch_size(feed) // 2)
        if verdict.rows and few and len(verdict.samples) <= max(1, verdict.searched // 2):
            verdict.cause = "sample"
        else:
            verdict.rows, verdict.samples = [], []
        return verdict

    def _sticking_out(self, feed: Feed, record: Record | None) -> Verdict:
        """The weights blew up some steps ago: by the learning rate, or by a few huge items."""
        if record is None or not self.may_call:
            return Verdict("step", searched=self._batch_size(feed))
        found, searched = outliers(record.dataset, unread=self._unread)
        self._seen_all(record.dataset, searched)
        if not found or len(found) > max(1, searched // 20):
            return Verdict("step", searched=self._batch_size(feed))
        verdict = Verdict("sample", samples=sorted(found), searched=searched)
        verdict.content = {i: found[i] for i in sorted(found)[:SHOWN]}
        verdict.field = next(iter(found.values()))["field"]
        return verdict

    def _static(self, feed: Feed, record: Record | None, lost: bool) -> Verdict | None:
        """Items that are not finite: in the batch as it reached the network, then everywhere."""
        size = self._batch_size(feed)
        rows, where = set(), ""
        given = [("image", t) for f in {id(f): f for f in (feed, self.engine.begun)}.values()
                 if f is not None and not f.made
                 for _, t in tensors_of([*f.args, *f.kwargs.values()])]  # fmt: skip
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
        found, searched = dict[int, dict[str, Any]](), size
        if record is not None and self.may_call:
            found, searched = scan(record.dataset, indices or (), unread=self._unread)
            self._seen_all(record.dataset, searched)
        if not rows and not lost and not found.keys() & set(indices or ()):
            return None
        if not rows and not found:
            return None
        verdict = Verdict("data", sorted(rows), sorted(found), field=where, searched=searched)
        verdict.field = where or next(iter(found.values()))["field"]
        verdict.content = {i: found[i] for i in sorted(found)[:SHOWN]}
        return verdict

    def _batch_size(self, feed: Feed) -> int:
        x = first_tensor(feed.args, feed.kwargs)
        return len(x) if x is not None and x.dim() else 1

    def _record(self, feed: Feed) -> Record | None:
        """The loader's batch that this forward pass used, for some tools fetch one ahead.

        By its values; where the loop changed them, by the likeness; else the latest.
        """
        x = first_tensor(feed.args, feed.kwargs)
        with_data = [r for r in reversed(self.engine.loaders.recent) if r.data is not None]
        if x is None or not with_data:
            return feed.record
        for record in with_data:
            if place_of(record.data, x) is not None:
                return record
        near = [(likeness(record.data, x), -i) for i, record in enumerate(with_data)]
        best, i = max(near)
        return with_data[-i] if best > 0.2 else feed.record

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
        unread = record is not None and record.data is None and self.may_call
        if record is not None and unread and record.indices() is not None:
            items = items_of(record.dataset, record.indices() or [])
            data = tensors_of(default_collate(items))
            return data[1][1] if len(data) > 1 else None
        return None

    def _emit(self, verdict: Verdict, record: Record | None, step: int, **more: Any) -> None:
        """The culprit event, in rows of the innermost data set where they are known."""
        values: dict[str, Any] = {**more, "cause": verdict.cause, "searched": verdict.searched,
                                  "field": verdict.field, "values": verdict.content}  # fmt: skip
        values |= {"module": verdict.module, "operation": verdict.operation}
        values, self._left = values | self._left, {}
        samples, known = self._samples(verdict, record)
        if known and record is not None:
            values["values"] = {str(row_of(record.dataset, i)): content
                                for i, content in verdict.content.items()}  # fmt: skip
        values |= {"samples": samples[:MOST], "samples_of": "batch"}
        if known and record is not None:
            inner = innermost(record.dataset)
            split = record.split or self.doc.split_of(record.dataset)
            self.sets[split] = record.dataset
            name = self.doc.path_of or (lambda i: path_of(inner, i))
            paths = [name(i) for i in samples]
            values |= {"samples_of": split, "split": split, "paths": [p for p in paths if p]}
        self.engine.emit("culprit", step, values=values)

    def _unread(self, error: Exception) -> None:
        self.engine.notes.add(f"an item of a data set could not be read: {type(error).__name__}")

    def _seen_all(self, dataset: Any, searched: int) -> None:
        """What a search that its time ended has left out: for the event, and as a note."""
        total = length_of(dataset) or 0
        if not 0 < searched < total:
            return
        share, given = 1 - searched / total, patience(SECONDS)
        self._left = {"searched_of": total, "unsearched": share, "stopped_after": given}
        self.engine.notes.add(
            f"the search of a data set stopped after {given:g} s: {total - searched:,} of "
            f"{total:,} items ({share:.0%}) were not looked at"
        )

    def _samples(self, verdict: Verdict, record: Record | None) -> tuple[list[int], bool]:
        indices = record.indices() if record is not None else None
        if record is None or record.dataset is None or indices is None:
            return verdict.rows, False
        dealt = set(verdict.samples)
        # Rows that the loop itself spoilt (their items are finite) are named only if no item is.
        if not dealt or verdict.cause == "sample":
            dealt |= {indices[row] for row in verdict.rows if row < len(indices)}
        return sorted({row_of(record.dataset, i) for i in dealt}), True
