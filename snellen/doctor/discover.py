"""Finds the networks of a script: the outermost modules that are called and have parameters.

A hook on every module call looks for them until a few steps have brought nothing new; it comes
back when a new optimiser steps.
"""

import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from .hung import is_traced
from .parts import Parts, whole_of
from .patient import Patient
from .ward import Ward
from .watch import Doctor

MOST = 8  # networks; a cross-validation makes many, and the first ones tell
COMPILER = r"Using `torch\.compile\(module\)` when there are global hooks"  # our own hook is meant
QUIET = 3  # steps without a new one, then the hook goes


class Discovery:
    """Adopts roots as they are called, each for the training that it belongs to."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        ward.leave = self._leave
        self._handles: dict[int, Any] = {}  # of the roots
        self._known: set[int] = set()  # every module of every root
        self._parts: dict[int, Parts] = {}
        self._look: Any = None
        self._quiet_at = 0
        self._made: list[weakref.ref[Any]] = []  # optimisers, the last few

    @property
    def engine(self) -> Any:
        """The engine of the training that runs."""
        return self.ward.active.engine

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Look for networks while open; all hooks are gone after."""
        from torch.optim import optimizer as home

        hooks = [
            home.register_optimizer_step_pre_hook(lambda o, *_: self._before_step(o)),
            home.register_optimizer_step_post_hook(lambda o, *_: self._after_step(o)),
        ]
        self._start()
        made = Optimizer.__init__

        def make(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            made(optimizer, *args, **kwargs)
            self._made.append(weakref.ref(optimizer))
            del self._made[:-MOST]
            self._start()  # another training may begin

        Optimizer.__init__ = make  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            if Optimizer.__init__ is make:
                Optimizer.__init__ = made  # type: ignore[method-assign]
            self._stop()
            for parts in self._parts.values():
                parts.close()
            for handle in [*hooks, *self._handles.values()]:
                handle.remove()

    def enrol_idle(self) -> None:
        """At the end: where nothing has stepped, the optimisers that could have."""
        if not any(doc.engine.steppers for doc in self.ward.live):
            for optimizer in [found for made in self._made if (found := made()) is not None]:
                self.engine.enrol(optimizer)

    def joined(self, loss: Tensor) -> None:
        """A backward pass: where its loss reaches an older training too, there is but that one."""
        old, new = self.ward.joins(loss), self.ward.active
        if old is None:
            return
        for patient in tuple(new.engine.patients):
            self._move(patient, old)
        feed = new.engine.feed
        self.ward.active = old
        self.ward.forget(new)
        old.engine.feed = feed or old.engine.feed

    def _start(self) -> None:
        if self._look is None:
            self._look = nn.modules.module.register_module_forward_pre_hook(self._called)
            warnings.filterwarnings("ignore", COMPILER)
        self._quiet_at = self.engine.turn + QUIET

    def _stop(self) -> None:
        if self._look is not None:
            self._look.remove()
            self._look = None

    def _before_step(self, optimizer: Any) -> None:
        doc = self.ward.holder(optimizer)
        if doc is not self.ward.active and self._is_for_another(optimizer):
            doc = self.ward.active  # built over the network that was trained before
        engine = doc.engine
        stepper = engine.steppers.get(id(optimizer))
        if stepper is None or stepper.optimizer is not optimizer:
            if engine.guarded(self.ward.drawn_anew, doc, optimizer):
                engine = engine.guarded(self._begin_again, doc) or engine
            engine.guarded(engine.enrol, optimizer)
            self._start()
        elif self._look is not None and self.engine.turn >= self._quiet_at:
            self._stop()
        engine.on_step(optimizer)

    def _is_for_another(self, optimizer: Any) -> bool:
        """Whether a network has gradients that no optimiser takes, and this one has none."""
        active = self.engine
        if active.steppers or not active.unclaimed[0]:
            return False
        return all(p.grad is None for group in optimizer.param_groups for p in group["params"])

    def _after_step(self, optimizer: Any) -> None:
        for doc in self.ward.live:
            doc.engine.after_step(optimizer)
            if (stepper := doc.engine.steppers.get(id(optimizer))) is not None:
                stepper.note_version()

    def _called(self, module: nn.Module, args: Any) -> None:
        if id(module) in self._known or self.ward.looks_away:
            return
        if self.engine.turn >= self._quiet_at:  # steps by hand call no optimiser's hook
            self._stop()
        else:
            self.engine.guarded(self._adopt, module, args)

    def _adopt(self, module: nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling() or is_traced():
            return
        if isinstance(module, torch.jit.ScriptModule):
            return
        whole = whole_of(module) or module
        if whole is not module and all(m is not module for m in whole.modules()):
            if not self._is_own(module, whole):  # in a plain list: a part that nobody knows of
                self._known |= {id(m) for m in module.modules()}
                return
            whole = module
        if not any(p.requires_grad for p in whole.parameters()):
            return
        doc, patient = self._patient(whole)
        if patient is None:
            return
        self._known |= {id(m) for m in module.modules()}
        if whole is not module:
            self._parts[id(doc)].meet(patient, module, args)
        else:  # the pre-hooks of the call under way are fixed already: this one is told by hand
            doc.engine.on_forward(patient, args, {})

    def _is_own(self, module: nn.Module, owner: nn.Module) -> bool:
        """Whether a module in a plain list of another is trained by itself."""
        if not any(p.requires_grad for p in owner.parameters()):
            return True
        held = {id(p) for made in self._made if (found := made()) is not None
                for group in found.param_groups for p in group["params"]}  # fmt: skip
        return any(id(p) in held for p in module.parameters())

    def _patient(self, net: nn.Module) -> tuple[Doctor, Patient | None]:
        """The patient of a network, a new one for a new network; None where there are enough."""
        for doc in self.ward.live:
            for patient in doc.engine.patients:
                if patient.net is net:
                    return doc, patient
        doc = self.ward.active
        if torch.is_grad_enabled() and self.ward.settled():
            doc = self.ward.begin()
            self._quiet_at = QUIET
        inside = {id(m) for m in net.modules()}
        for patient in [p for p in doc.engine.patients if id(p.net) in inside]:
            self._leave(patient)  # a part that was called alone before
            doc.engine.patients.remove(patient)
        if len(doc.engine.patients) >= MOST:
            return doc, None
        patient = Patient(net)
        patient.adopted = True
        self._watch(patient, doc)
        return doc, patient

    def _watch(self, patient: Patient, doc: Doctor) -> None:
        patient.prefix = self._prefix(type(patient.net).__name__, doc)
        doc.engine.patients.append(patient)
        self._handles[id(patient.net)] = doc.watch(patient)
        self._parts.setdefault(id(doc), Parts(doc.engine, doc.watch))

    def _move(self, patient: Patient, doc: Doctor) -> None:
        """To another training."""
        self._leave(patient)
        self._watch(patient, doc)
        patient.adopted, patient.kept_at = True, -1

    def _leave(self, patient: Patient) -> None:
        """Watch a network no more."""
        patient.leave()
        handle = self._handles.pop(id(patient.net), None)
        if handle is not None:
            handle.remove()

    def _begin_again(self, doc: Doctor) -> Any:
        """A network that was reset begins a training of its own."""
        moved, last = tuple(doc.engine.patients), doc.engine.last_loss
        fed, doc.engine.fed = doc.engine.fed, None
        new = self.ward.begin()
        for patient in moved:
            self._move(patient, new)
        new.engine.fed, new.engine.last_loss = fed, last
        new.engine.unclaimed = 1, last
        return new.engine

    def _prefix(self, kind: str, doc: Doctor) -> str:
        """The first network's parameters keep their names; the others' begin with their class."""
        taken = {patient.prefix for patient in doc.engine.patients}
        names = ["", f"{kind}.", *(f"{kind}{i}." for i in range(2, MOST + 2))]
        return next(name for name in names if name not in taken)
