"""The engine of the watch: what is looked at on every step, and whom it wakes on sampled ones.

Forward pre-hooks on the roots tell what went in, the wrapped backward what came out, the
optimisers' hooks when a step was taken. A step is an optimiser's step, not a backward pass; with
several optimisers it is the largest of their counts. Nothing here raises into the user's code.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core import registry
from .apart import Notes
from .by_hand import ByHand
from .calls import Calls
from .chart import Chart
from .gradients import detached, has_gradients
from .late import Late, Turns
from .loader import Loaders
from .patient import Patient
from .probes._probe import Feed, Probe, Stepper
from .schedule import Schedule
from .stepping import gradients_finite, name_parameters, row
from .validation import Validation

unheard = torch._C.DisableTorchFunction  # of a user's tensor class with a `__torch_function__`
LOWEST = -math.inf
ROWS = 200  # step rows before they are thinned: about this many for each factor e of steps


class Engine:
    """Follows patients and optimisers; everything measured goes to the chart and to the sink."""

    def __init__(self, chart: Chart, sink: Callable[[dict[str, Any]], Any] | None) -> None:
        self.chart, self.sink = chart, sink
        self.template: Any = None
        self.patients: list[Patient] = []
        self.steppers: dict[int, Stepper] = {}
        self.loaders = Loaders()
        self.loaders.fail = self.fail
        self.validation = Validation(self)
        self.calls = Calls(self.validation.called)
        self.schedule = Schedule()
        self.probes: list[Probe] = []
        self.notes = Notes()
        self.loss_fn: Any = None  # loss_fn(net(x), y), where the user gave it
        self.passes = 0  # backward passes
        self.step = 0
        self.turn = 0  # like step, but counted on where an optimiser falls silent and another steps
        self._turns = Turns()
        self.off = False
        self.feed: Feed | None = None  # the last forward pass that no backward has followed yet
        self.fed: Feed | None = None  # the last that one has
        self.latest: Feed | None = None
        self.woken: Callable[[Engine], None] | None = None  # told that it is our turn
        self.begun: Feed | None = None  # the first since a backward pass
        self.on_nonfinite: Callable[[str, Feed | None, Tensor | None], None] | None = None
        self.on_finite: Callable[[Feed], None] | None = None
        self._late = Late(self._nonfinite)
        self._sampling = True
        self._since = time.perf_counter()
        self._row_at, self._rowed, self.last_loss = 0, True, math.nan
        self._least = self._best = math.inf  # size of a loss so far; what is a leap beyond it
        self._alone = True  # one optimiser
        self.by_hand = ByHand(self)
        self.unclaimed = 0, 0.0  # backward passes before any optimiser was known, and their losses

    def emit(self, kind: str, step: int, **fields: Any) -> None:
        """Hand one measurement to the chart and to the sink."""
        event = {"kind": kind, "step": step, **fields}
        self.chart.record(event)
        if self.sink is not None:
            self.sink(event)

    def open(self) -> None:
        """Wake the probes."""
        self.probes = [kind(self) for kind in
                       registry.collect("snellen.doctor.probes", "PROBES").values()]  # fmt: skip
        self._since = time.perf_counter()

    def begin_at(self, step: int) -> None:
        """Count from a step that was completed before the watch began."""
        self.step = self.turn = self.chart.step = self._row_at = step
        for stepper in self.steppers.values():
            stepper.steps = step

    def close(self) -> None:
        """Let the probes take their hooks away, read what is still late, forget the batches."""
        self.calls.stop()
        self.guarded(self.validation.end)
        self.guarded(self.by_hand.look)
        self.tell("close")
        if self._late.is_waiting:
            self.guarded(self._late.read)
        self.feed = self.fed = self.begun = self.latest = None

    def fail(self, who: Any, error: BaseException) -> None:
        """An error of the doctor's own: noted once a place, never raised."""
        name = getattr(who, "__qualname__", type(who).__qualname__)
        text = f"{name} stopped: {type(error).__name__}: {error}"
        if text not in self.notes:
            self.notes.add(text)

    def guarded(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call `work`; an error of its own is noted and gives None."""
        try:
            return work(*args)
        except Exception as error:
            return self.fail(work, error)

    def tell(self, moment: str, *args: Any) -> None:
        """Call one moment of every probe; one that fails is taken away."""
        for probe in tuple(self.probes):
            try:
                with unheard():
                    getattr(probe, moment)(*args)
            except Exception as error:
                self.fail(probe, error)
                self.probes.remove(probe)
                if moment != "close":
                    probe.close()

    def on_forward(self, patient: Patient, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The pre-hook of a root network."""
        if self.off:
            return
        try:
            with unheard():
                if self.by_hand.waits:
                    self.by_hand.look()
                if self.woken is not None:
                    self.woken(self)
                if patient.parts:
                    patient.leave()  # called itself after all
                if self.calls.on:
                    self.calls.stop()
                args, made = detached(args)
                feed = Feed(patient, args, kwargs, self.loaders.latest, self.step, self.turn,
                            patient.net.training, made)  # fmt: skip
                if torch.is_grad_enabled():
                    self._fed(feed, patient)
                elif not patient.is_inner:
                    self.validation.evaluated(feed)
        except Exception as error:
            self.fail(self, error)

    def _fed(self, feed: Feed, patient: Patient) -> None:
        if patient.kept_at != self.passes:
            patient.keep_statistics()
            patient.kept_at = self.passes
        self.begun = feed if self.feed is None or self.begun is None else self.begun
        self.feed = self.latest = feed
        if self._sampling:
            full = self.schedule.full(self.turn) and not patient.compiled
            if full:
                self.calls.start()
            self.tell("forward", feed, full)

    def after_compiled(self) -> None:
        """After a compiled network's forward pass: its loss may be heard without disturbing it."""
        wanted = self._sampling and self.schedule.full(self.turn)
        if wanted and not self.off and self.feed is not None and torch.is_grad_enabled():
            self.guarded(self.calls.start)

    def on_backward(self, loss: Tensor) -> None:
        """Before every backward pass."""
        feed = self.feed or self.fed
        if self.off or feed is None:
            return
        try:
            with unheard():
                self.fed, self.feed = feed, None
                if self.calls.on:
                    self.calls.stop()
                value = self.last_loss = self._late.value(loss, feed)
                self.passes += 1
                self.validation.trained(value)
                count, total = self.unclaimed
                self.unclaimed = count + 1, total + value
                if self._sampling:
                    self.tell("backward", feed, loss)
                for stepper in self.steppers.values():
                    stepper.backwards += 1
                    stepper.loss_sum = value + (stepper.loss_sum if self._alone else 0.0)
                    if self._rowed and stepper.carried and not has_gradients(stepper.outside):
                        stepper.carried = False
                if not LOWEST < value < self._best:
                    self._odd(value, feed, loss)
                elif abs(value) < self._least:
                    self._least, self._best = abs(value), 3 * abs(value) + 1e-8
                if self.on_finite is not None and loss.is_cpu and math.isfinite(value):
                    self.on_finite(feed)
        except Exception as error:
            self.fail(self, error)

    def _odd(self, value: float, feed: Feed, loss: Tensor) -> None:
        """A loss that is no number, or has leapt up."""
        if not math.isfinite(value) and not self._late.is_waiting:
            self._nonfinite("loss", feed, loss)
        elif value > self._best:
            self.schedule.alarm(self.turn)
            self.tell("rose", feed, loss)

    def after_backward(self) -> None:
        """After every backward pass: whose weights may be moved by hand now."""
        if self.off or self.fed is None or self.by_hand.is_idle():
            return
        with unheard():
            for patient in tuple(self.patients):
                self.guarded(self.by_hand.after_backward, patient)

    def before_own_step(self, stepper: Stepper, is_known: bool) -> None:
        """A step by hand may follow: what is looked at before an optimiser's, ahead of it."""
        stepper.entered, stepper.inside = True, stepper.backwards
        if is_known and not gradients_finite(stepper, self._sampling):
            self._nonfinite("gradient", self.fed, None)
        if self._sampling:
            grads = [p.grad for p in stepper.params]
            stepper.kept = [None if g is None else g.detach().clone() for g in grads]
            self.tell("before_update", stepper)

    def on_step(self, optimizer: Any, *_: Any) -> None:
        """Before an optimiser's step."""
        stepper = self.steppers.get(id(optimizer))
        if self.off or stepper is None:
            return
        try:
            with unheard():
                stepper.entered, stepper.inside = True, stepper.backwards
                if self.calls.on:
                    self.calls.stop()
                if not stepper.params:
                    name_parameters(stepper, self.patients)
                if stepper.backwards and not gradients_finite(stepper, self._sampling):
                    self._nonfinite("gradient", self.fed, None)
                if self._sampling:
                    self.tell("before_update", stepper)
        except Exception as error:
            self.fail(self, error)

    def after_step(self, optimizer: Any, *_: Any) -> None:
        """After an optimiser's step: the row of the step, and what the next one is to be."""
        stepper = self.steppers.get(id(optimizer))
        if not self.off and stepper is not None and stepper.entered:
            self.stepped(stepper)

    def stepped(self, stepper: Stepper) -> None:
        """The weights of a stepper have moved."""
        try:
            step, sampled = stepper.steps, self._sampling
            if sampled:
                self.tell("after_update", stepper, step)
            if step >= self._row_at or not stepper.backwards or sampled:
                with unheard():
                    values = row(stepper, step, self.fed, self._alone)
                self.emit("step", step, values=values)
            stepper.steps = step = step + 1
            stepper.backwards, stepper.loss_sum, stepper.carried = 0, 0.0, True
            stepper.entered, stepper.kept = False, None
            self.unclaimed, self.fed = (0, 0.0), None
            if step > self.step:
                self.step = self.chart.step = step
            if self._alone or self._turns.end(stepper.index, len(self.steppers)):
                self._next(sampled)
        except Exception as error:
            self.fail(self, error)

    def _next(self, sampled: bool) -> None:
        """Another turn begins."""
        now, turn = time.perf_counter(), self.turn
        self.schedule.took(turn, now - self._since, sampled)
        self._since, self.turn = now, turn + 1
        self._sampling = self.schedule.sampled(turn + 1)
        if self.step > self._row_at:
            self._row_at = self.step + self.step // ROWS
        self._rowed = self.step >= self._row_at or self._sampling or not self._alone

    def _nonfinite(self, what: str, feed: Feed | None, loss: Tensor | None) -> None:
        if self.on_nonfinite is not None:
            self.on_nonfinite(what, feed, loss)

    def enrol(self, optimizer: Any) -> Stepper:
        """Watch an optimiser."""
        stepper = Stepper(len(self.steppers), optimizer)
        stepper.backwards, losses = self.unclaimed  # a script's optimiser shows at its first step
        self.admit(stepper)
        stepper.loss_sum = losses if self._alone else self.last_loss
        name_parameters(stepper, self.patients)
        return stepper

    def admit(self, stepper: Stepper) -> None:
        """Let a stepper count."""
        self.steppers[id(stepper.optimizer)] = stepper
        self._alone = len(self.steppers) == 1
