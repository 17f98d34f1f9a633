"""When behavioural probes ask: a few times in a training and at its end, within a budget.

They run on a part of a batch that is kept from a sampled step, between two steps and never while a
graph of the user's waits that they could spoil. A compiled or distributed network is not asked.
"""

import time
from typing import Any

import torch
from torch import Tensor

from ...core import registry
from ...core.patience import patience
from .. import graph
from ..apart import apart
from ..loader import tensors_of
from ..patient import is_lazy
from ..replay import loss_of, select
from ._measure import first_tensor
from ._probe import Feed, Probe, Stepper
from ._replay import Replay
from .inputs import target_of

TURNS = frozenset((3, 19, 100, 400))  # after which the probes ask, beside the end
ROWS, LARGEST = 256, 1 << 22  # samples, and values of an input, that are kept
FLOOR, SHARE = 0.15, 0.03  # seconds that are free (as many again at the end); share of the time


class Replays(Probe):
    """Keeps a part of a batch, and lets the functions of REPLAYS ask the network about it."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self.asked = dict(registry.collect("snellen.doctor.probes", "REPLAYS"))
        self._kept: Replay | None = None
        self._turn = self._looked = -1
        self._spent, self._began = 0.0, time.perf_counter()
        self._error = ""

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Keep a batch and its target; those of the next sampled step will take their place."""
        if feed.turn != self._turn and not feed.patient.compiled:
            self._turn, self._kept = feed.turn, self._part(feed, loss)

    def after_update(self, stepper: Stepper, step: int) -> None:
        """Ask at the chosen turns."""
        passed = [t for t in TURNS if self._looked < t <= self._turn]
        if passed and not stepper.index:
            self._looked = self._turn
            self._ask(last=False)

    def close(self) -> None:
        """Ask once more, at the end."""
        self._ask(last=True)
        self._kept = None

    def _part(self, feed: Feed, loss: Tensor) -> Replay | None:
        x = first_tensor(feed.args, feed.kwargs)
        if x is None or not x.dim() or x.is_sparse or x.is_nested or x.is_complex():
            return None
        size, most = len(x), max((t[:1].numel() for _, t in
                tensors_of([*feed.args, *feed.kwargs.values()]) if t.dim()), default=1)  # fmt: skip
        count = min(size, ROWS, LARGEST // max(1, most))
        if count < 2:
            return None
        target = target_of(feed.record, x)
        target = graph.saved_target(loss, size) if target is None else target
        target = target if target is not None and target.dim() and len(target) == size else None
        rows = feed.record.indices() if feed.record else None
        some = torch.arange(count)
        return Replay(
            self.eyes, feed.patient, select(feed.args, some, size), select(feed.kwargs, some, size),
            count, target[:count].detach().clone() if target is not None else None,
            None, feed.record, rows[:count] if rows else None, last=False,
        )  # fmt: skip

    def _ask(self, last: bool) -> None:
        kept = self._kept
        alone = not torch.distributed.is_available() or not torch.distributed.is_initialized()
        if kept is None or not alone:
            return
        kept.last = last
        kept.call = loss_of(self.eyes.loss_fn, self.eyes.template)
        parts = kept.patient.inner.modules()
        if any(isinstance(m, torch.jit.ScriptModule) for m in parts) or any(
            is_lazy(p) for p in kept.patient.inner.parameters()
        ):
            return
        with apart(self.eyes, "the network", kept.args, kept.kwargs) as free:
            for name in [*self.asked] if free else ():
                self._one(name, kept)

    def _one(self, name: str, kept: Replay) -> None:
        """One question; a network that cannot be asked is left alone, which is noted."""
        began = time.perf_counter()
        free = FLOOR * (1 + kept.last)
        if self._spent > patience(free + SHARE * (began - self._began)):
            return
        values = None
        try:
            with kept.patient.replayed(statistics=False) as net:
                values = self.asked[name](kept, net)
        except Exception as error:  # the user's code, called in a way that it was not made for
            del self.asked[name]
            self._note(error)
        self._spent += time.perf_counter() - began
        if values is not None:
            values |= {"last": kept.last, "network": kept.patient.prefix.rstrip(".")}
            self.eyes.emit("probe", self.eyes.step, name=name, values=values)

    def _note(self, error: Exception) -> None:
        """Questions fail together, in the words of the first."""
        self._error = self._error or f"{type(error).__name__}: {str(error)[:120]}"
        self.eyes.notes.add(f"a question to the network failed, the first with {self._error}")


PROBES = {"replays": Replays}
