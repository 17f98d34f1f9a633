"""The trainings of a script: networks trained one after the other get a doctor each.

A sweep, a cross-validation, an ensemble. A network that is met once another has been trained for a
while begins a training of its own, unless one loss reaches both. What is said of one names nothing
of another.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from . import graph, preflight, sweep
from .chart import Chart
from .check import judge
from .finding import LEVELS, Finding
from .loader import Loaders
from .patient import Patient
from .watch import Doctor

SETTLED = 3  # turns after which a new network is no part of what was trained before
LIVE = 8  # trainings whose networks are kept
JUMP = 1.2  # times the loss before: the weights were drawn anew


@dataclass
class Closed:
    """A training that is over, without its network."""

    name: str
    chart: Chart
    findings: tuple[Finding, ...]
    ignored: tuple[Finding, ...]
    notes: list[str]


class Ward:
    """Doctors by training; hands each moment of the script to the one that it concerns."""

    def __init__(self, ignore: tuple[str, ...]) -> None:
        self.ignore = ignore
        self.loaders = Loaders()
        self.closed: list[Closed] = []
        self.live: list[Doctor] = []
        self.leave: Callable[[Patient], None] = lambda patient: None  # unhook; the discovery's
        self.active = self._new()

    def _new(self) -> Doctor:
        doc = Doctor([], [], self.ignore)
        doc.engine.loaders = self.loaders
        self.loaders.fail = doc.engine.fail
        doc.engine.woken = self._woken
        self.live.append(doc)
        return doc

    @property
    def looks_away(self) -> bool:
        """Whether a doctor examines a network just now."""
        return any(doc.engine.off for doc in self.live)

    def _woken(self, engine: Any) -> None:
        if engine is not self.active.engine and not self.looks_away:
            self.active.engine.guarded(self.active.engine.calls.stop)
            self.active = next(doc for doc in self.live if doc.engine is engine)

    def begin(self) -> Doctor:
        """Another training begins."""
        old = self.active
        old.engine.guarded(old.search.finish, None)
        old.engine.guarded(old.engine.calls.stop)
        seen = [feed.record for feed in (old.engine.feed, old.engine.latest) if feed is not None]
        fresh = [r for r in self.loaders.recent if not any(r is s for s in seen)]
        self.loaders.recent.clear()  # the batches of the old training are none of the new one's
        self.loaders.recent.extend(fresh[-1:])
        while len(self.live) >= LIVE:
            oldest = next(doc for doc in self.live if doc is not old)
            self.close(oldest)
        self.active = self._new()
        self.active.engine.open()
        return self.active

    def settled(self) -> bool:
        """Whether a network that is met now is none of the training that runs."""
        return self.active.engine.turn >= SETTLED

    def holder(self, optimizer: Any) -> Doctor:
        """Whose optimiser it is: by its steps so far, by its parameters, else of the active one."""
        for doc in self.live:
            stepper = doc.engine.steppers.get(id(optimizer))
            if stepper is not None and stepper.optimizer is optimizer:
                return doc
        mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for doc in (self.active, *reversed(self.live)):
            if any(mine & patient.parameter_names().keys() for patient in doc.engine.patients):
                return doc
        return self.active

    def after_backward(self) -> None:
        """After a backward pass."""
        if not self.looks_away:
            self.active.engine.after_backward()

    def joins(self, loss: Tensor) -> Doctor | None:
        """The older training that a loss reaches too, before the active one's first step."""
        engine = self.active.engine
        if len(self.live) < 2 or engine.step or loss.grad_fn is None:
            return None
        own = {i for patient in engine.patients for i in patient.parameter_names()}
        found = {id(leaf) for leaf in graph.leaves(loss)} - own
        for doc in reversed(self.live):
            if doc is not self.active and any(
                found & patient.parameter_names().keys() for patient in doc.engine.patients
            ):
                return doc
        return None

    def forget(self, doc: Doctor) -> None:
        """A training that was none."""
        self.live.remove(doc)
        doc.engine.close()

    def drawn_anew(self, doc: Doctor, optimizer: Any) -> bool:
        """Whether a new optimiser trains a network that has been trained and was reset since."""
        engine = doc.engine
        mine = {id(p) for group in optimizer.param_groups for p in group["params"]}
        before = [s for s in engine.steppers.values() if mine & {id(p) for p in s.params}]
        losses = [v for v in doc.chart.column("loss")[-5:] if v == v]
        if engine.turn < SETTLED or not before or not losses:
            return False
        moved = all(s.version != sum(p._version for p in s.outside) for s in before)
        return moved and engine.last_loss > JUMP * abs(max(losses)) + 1e-8

    def end(self, doc: Doctor, *, failed: bool = False) -> None:
        """A training is over, and its hooks are gone."""
        engine = doc.engine
        engine.close()
        if not failed:
            engine.guarded(preflight.after, doc)
        engine.guarded(doc.last_facts)

    def close(self, doc: Doctor) -> None:
        """Judge a training, and let go of its network."""
        for patient in tuple(doc.engine.patients):
            self.leave(patient)
        self.end(doc)
        self.closed.append(_ended(doc))
        self.live.remove(doc)

    def leading(self) -> Doctor:
        """The doctor with the likeliest finding, else the active one."""
        ill = [(_rank(doc.findings[0]), i, doc) for i, doc in enumerate(self.live) if doc.findings]
        return min(ill)[2] if ill else self.active

    def outcomes(self) -> list[Closed]:
        """What every training came to, in their order."""
        every = [*self.closed, *map(_ended, self.live)]
        real = [t for t in every if t.chart.step or t.chart.facts.get("backwards") or t.findings]
        return real or every[:1]


def _ended(doc: Doctor) -> Closed:
    kinds = [type(patient.inner).__name__ for patient in doc.engine.patients]
    return Closed(" and ".join(kinds), doc.chart, doc.findings, doc.ignored, doc.notes)


def told(trainings: list[Closed], ignore: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """The findings of all trainings, the likeliest first; each says of which network it is.

    Trainings of one kind of network are the trials of a search, which is judged too.
    """
    if len(trainings) == 1:
        return trainings[0].findings
    same: dict[Any, list[tuple[int, Finding]]] = {}
    for number, training in enumerate(trainings, 1):
        for finding in training.findings:
            key = finding.id, finding.level, finding.samples, finding.samples_of
            same.setdefault(key, []).append((number, finding))
    found = []
    for group in same.values():
        finding = max((f for _, f in group), key=lambda f: f.confidence)
        network = spoken([number for number, _ in group], trainings)
        message = f"{network}: {finding.message}"
        where = {**finding.where, "network": network}
        found.append(replace(finding, message=message, where=where))
    if len({training.name for training in trainings}) == 1:
        found += judge(sweep.trials([training.chart for training in trainings]), ignore)
    return tuple(sorted(found, key=_rank))


def _rank(finding: Finding) -> tuple[int, float]:
    return -LEVELS.index(finding.level), -finding.confidence


def spoken(numbers: list[int], trainings: list[Closed]) -> str:
    """Which networks, in words: their places, and what one of them is.

    >>> sweep = [Closed("Net", Chart({"optimizers": [{"lr": 10.0}]}), (), (), [])] * 3
    >>> spoken([2], sweep), spoken([1, 2], sweep)
    ('network 2 of 3 (Net, lr 10)', 'networks 1, 2 of 3')
    """
    several = ", ".join(map(str, numbers[:8])) + (" ..." if len(numbers) > 8 else "")
    if len(numbers) > 1:
        return f"networks {several} of {len(trainings)}"
    training = trainings[numbers[0] - 1]
    optimizers = training.chart.facts.get("optimizers") or [{}]
    lr = optimizers[0].get("lr")
    facts = [training.name, f"lr {lr:g}" if lr else ""]
    return f"network {several} of {len(trainings)} ({', '.join(f for f in facts if f)})"
