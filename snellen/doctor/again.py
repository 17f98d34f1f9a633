"""The batch of a bad step again, and then the rest of its data set by the same test.

The rest can be run only where the network received what the data set's items hold; a loop that
changes them on the way keeps that to itself, and only its batch is judged.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset, default_collate

from ..core.patience import patience
from .loader import Record, innermost, items_of, row_of, tensors_of
from .probes._measure import first_tensor
from .probes._probe import Feed
from .replay import LossOf, Unfit, bad_gradients, bad_losses, bad_outputs, first_bad_module, select
from .scan import SECONDS, order

CHUNK = 256


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


class Again:
    """One batch again, and the rest of its data set where its items are what the network gets."""

    def __init__(
        self, feed: Feed, record: Record | None, target: Tensor | None, call: LossOf | None,
        what: str,
    ) -> None:  # fmt: skip
        self.feed, self.record, self.target = feed, record, target
        self.call = call if target is not None else None
        self.gradients = what == "gradient"
        self.is_stopped = False  # before all of the data set was judged
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
            try:
                rows.update(bad_losses(self.call, out, target.to(_device(out)), size))
                if not rows and self.gradients:
                    rows.update(bad_gradients(net, self.call, run, target.to(_device(out))))
            except Unfit:  # the loss that was heard is another network's
                self.call = None
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
        end = time.monotonic() + patience(SECONDS)
        todo = list(order(len(record.dataset), indices))
        for start in range(0, len(todo), CHUNK):
            rows = todo[start : start + CHUNK]
            data = tensors_of(_dealt(record, rows))
            batch = data[place][1].to(x.device, x.dtype).reshape(len(rows), *x.shape[1:])
            target = data[1][1].reshape(len(rows), *self.target.shape[1:]) \
                if self.target is not None and len(data) > 1 else None  # fmt: skip
            bad = self._rows(net, lambda r, b=batch: net(b[r]), target, len(rows))
            verdict.samples += [rows[i] for i in bad]
            verdict.searched = start + len(rows)
            if time.monotonic() > end:
                self.is_stopped = verdict.searched < len(todo)
                break


def _dealt(record: Record, rows: list[int]) -> Any:
    """Some rows of a data set as its loader would deal them; tensors are read all at once."""
    inner, collate = innermost(record.dataset), record.collate or default_collate
    if type(inner) is TensorDataset and collate is default_collate:
        places = [row_of(record.dataset, i) for i in rows]
        return [tensor[places] for tensor in inner.tensors]
    return collate(items_of(record.dataset, rows))


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


def likeness(data: Any, x: Tensor) -> float:
    """The correlation of a batch's first tensor with what the network received, 0 where unlike.

    >>> likeness(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([10.0, 20.0, 40.0])) > 0.99
    True
    """
    pairs = tensors_of(data)
    if not pairs or pairs[0][1].numel() != x.numel() or x.numel() < 2:
        return 0.0
    both = torch.stack([pairs[0][1].detach().cpu().double().flatten(), x.cpu().double().flatten()])
    both = both[:, torch.isfinite(both).all(0)]
    if both.shape[1] < 2:
        return 0.0
    both = both - both.median(1, keepdim=True).values
    both = torch.tanh(both / (both.abs().median(1, keepdim=True).values + 1e-30))  # no value rules
    value = torch.corrcoef(both)[0, 1].abs().item()
    return value if value == value else 0.0


def _device(out: Any) -> torch.device:
    return next((t.device for _, t in tensors_of(out)), torch.device("cpu"))
