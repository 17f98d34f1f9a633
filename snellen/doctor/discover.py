"""Finds the networks of a script: the outermost modules that are called and have parameters.

A hook on every module call looks for them until a few steps have brought nothing new; it comes
back when a new optimiser steps.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from .engine import Engine
from .parts import Parts, whole_of
from .patient import Patient

MOST = 8  # networks; a cross-validation makes many, and the first ones tell
COMPILER = r"Using `torch\.compile\(module\)` when there are global hooks"  # our own hook is meant
QUIET = 3  # steps without a new one, then the hook goes


class Discovery:
    """Adopts roots as they are called; `watch` hooks a patient, as in `Doctor.watch`."""

    def __init__(self, engine: Engine, watch: Callable[[Patient], Any]) -> None:
        self.engine, self.watch = engine, watch
        self._handles: dict[int, Any] = {}  # of the roots
        self._known: set[int] = set()  # every module of every root
        self._parts = Parts(engine, watch)
        self._look: Any = None
        self._quiet_at = 0
        self._made: list[weakref.ref[Any]] = []  # optimisers, the last few

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Look for networks while open; all hooks are gone after."""
        from torch.optim import optimizer as home

        hooks = [
            home.register_optimizer_step_pre_hook(lambda o, *_: self._before_step(o)),
            home.register_optimizer_step_post_hook(lambda o, *_: self.engine.after_step(o)),
        ]
        self._start()
        made = Optimizer.__init__

        def make(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            made(optimizer, *args, **kwargs)
            self._made.append(weakref.ref(optimizer))
            del self._made[:-MOST]

        Optimizer.__init__ = make  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            if Optimizer.__init__ is make:
                Optimizer.__init__ = made  # type: ignore[method-assign]
            self._stop()
            self._parts.close()
            for handle in [*hooks, *self._handles.values()]:
                handle.remove()

    def enrol_idle(self) -> None:
        """At the end: where nothing has stepped, the optimisers that could have."""
        if not self.engine.steppers:
            for optimizer in [found for made in self._made if (found := made()) is not None]:
                self.engine.enrol(optimizer)

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
        if id(optimizer) not in self.engine.steppers:
            self.engine.guarded(self.engine.enrol, optimizer)
            self._start()
        elif self._look is not None and self.engine.turn >= self._quiet_at:
            self._stop()
        self.engine.on_step(optimizer)

    def _called(self, module: nn.Module, args: Any) -> None:
        if id(module) in self._known or self.engine.off:
            return
        if self.engine.turn >= self._quiet_at:  # steps by hand call no optimiser's hook
            self._stop()
        else:
            self.engine.guarded(self._adopt, module, args)

    def _adopt(self, module: nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling() or isinstance(module, torch.jit.ScriptModule):
            return
        whole = whole_of(module) or module
        if not any(p.requires_grad for p in whole.parameters()):
            return
        patient = self._patient(whole)
        if patient is None:
            return
        self._known |= {id(m) for m in module.modules()}
        if whole is not module:
            self._parts.meet(patient, module, args)
        else:  # the pre-hooks of the call under way are fixed already: this one is told by hand
            self.engine.on_forward(patient, args, {})

    def _patient(self, net: nn.Module) -> Patient | None:
        """The patient of a network, a new one for a new network; None where there are enough."""
        known = [p for p in self.engine.patients if p.net is net]
        if known:
            return known[0]
        inside = {id(m) for m in net.modules()}
        for patient in [p for p in self.engine.patients if id(p.net) in inside]:
            self.engine.patients.remove(patient)  # a part that was called alone before
            self._handles.pop(id(patient.net)).remove()
        if len(self.engine.patients) >= MOST:
            return None
        patient = Patient(net, self._prefix(type(net).__name__))
        patient.adopted = True
        self.engine.patients.append(patient)
        self._handles[id(net)] = self.watch(patient)
        return patient

    def _prefix(self, kind: str) -> str:
        """The first network's parameters keep their names; the others' begin with their class."""
        taken = {patient.prefix for patient in self.engine.patients}
        names = ["", f"{kind}.", *(f"{kind}{i}." for i in range(2, MOST + 2))]
        return next(name for name in names if name not in taken)
