"""Which data sets were dealt from, and whether the network gets their items as they are.

Where no loader tells, pairs of inputs and labels are kept from the sampled steps, a bounded number.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import graph
from ..again import likeness, place_of
from ..loader import Record, innermost, tensors_of
from ..patient import Patient
from ._measure import first_tensor
from ._probe import Feed, Probe

PAIRS, WIDE, LOOKS = 1500, 1024, 3
ALIKE = 0.2  # correlation of a batch with what the network received of it


@dataclass
class Dealt:
    """A data set that reached a network; `place` is the input's among a batch's tensors."""

    record: Record
    patient: Patient
    looks: int = 0
    same: int = 0  # of the looks: the network received the loader's own numbers

    @property
    def is_plain(self) -> bool:
        """Whether what the loader dealt is what the network got, each time it was looked at."""
        return self.looks > 0 and self.same == self.looks


class DealtSets(Probe):
    """Remembers the first data set of training and of evaluation, and pairs where there is none."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self.sets: dict[str, Dealt] = {}
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.began = time.monotonic()
        self._count = 0
        self._x: Tensor | None = None
        self.patient: Patient | None = None  # who was given the pairs

    def forward(self, feed: Feed, full: bool) -> None:
        """Note the training set; keep the input for its label."""
        x = first_tensor(feed.args, feed.kwargs)
        if feed.record is not None and hasattr(feed.record.dataset, "__getitem__"):
            self._note("train", feed, x)
        elif x is not None and self._count < PAIRS and x.dim() and len(x) > 1:
            alone = len(tensors_of([*feed.args, *feed.kwargs.values()])) == 1
            self.patient = feed.patient if alone and x[:1].numel() <= WIDE else None
            self._x = _narrow(x.detach())

    def evaluation(self, feed: Feed) -> None:
        """Note the set that is evaluated on, where it is another."""
        train = self.sets.get("train")
        if feed.record is None or not hasattr(feed.record.dataset, "__getitem__"):
            return
        if train is None or feed.record.dataset is not train.record.dataset:
            x = first_tensor(feed.args, feed.kwargs)
            if x is not None and _is_of(feed.record, x):
                self._note("val", feed, x)

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """The labels that belong to the input that was kept."""
        x, self._x = self._x, None
        if x is None:
            return
        target = graph.saved_target(loss, len(x))
        if target is not None and target.dim() == 1 and not target.is_floating_point():
            self.pairs.append((x.clone(), target.detach().cpu().clone()))
            self._count += len(x)

    def _note(self, split: str, feed: Feed, x: Tensor | None) -> None:
        assert feed.record is not None
        known = self.sets.get(split)
        if known is None:
            record = feed.record
            kept = Record(record.dataset, None, None, record.collate, split=split)
            known = self.sets[split] = Dealt(kept, feed.patient)
        if innermost(known.record.dataset) is not innermost(feed.record.dataset):
            return
        if known.looks < LOOKS and feed.record.data is not None and x is not None:
            alone = len(tensors_of([*feed.args, *feed.kwargs.values()])) == 1
            known.looks += 1
            known.same += alone and place_of(feed.record.data, x) == 0


def _is_of(record: Record, x: Tensor) -> bool:
    """Whether a batch is what the network received: a loop may evaluate without a loader."""
    data = record.data
    return data is not None and (place_of(data, x) is not None or likeness(data, x) > ALIKE)


def _narrow(x: Tensor) -> Tensor:
    """Wide inputs take too much room to be kept as they are."""
    if x[:1].numel() <= WIDE:
        return x.cpu()
    if x.dim() == 4:
        return F.adaptive_avg_pool2d(x.float(), 16).cpu()
    if not x.is_floating_point():
        return x.flatten(1)[:, :WIDE].cpu()
    return F.adaptive_avg_pool1d(x.flatten(1)[:, None].float(), WIDE)[:, 0].cpu()


def pairs_of(probe: DealtSets) -> tuple[Tensor, Tensor] | None:
    """All pairs of one shape -> x_N..., labels_N, each sample once."""
    shapes = {tuple(x.shape[1:]) for x, _ in probe.pairs}
    if len(shapes) != 1:
        return None
    x, y = (torch.cat(parts) for parts in zip(*probe.pairs, strict=True))
    _, back = torch.unique(x.reshape(len(x), -1), dim=0, return_inverse=True)
    first = torch.full((int(back.max()) + 1,), len(x)).scatter_reduce(
        0, back, torch.arange(len(x)), "amin"
    )
    rows = first.sort().values
    return x[rows], y[rows]


PROBES = {"dealt": DealtSets}
