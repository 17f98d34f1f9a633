"""Networks whose parts are called and not they themselves: a ModuleDict's, `net.encode(x)`.

A part is watched in the name of its whole, which keeps the parameters and the names. Where the
loop calls `net.forward(x)`, the frame of that forward tells what the network received.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from .hung import Hook, is_traced
from .patient import Patient, everywhere
from .places import is_users

MOST = 40  # frames, and parts of one network
QUIET = 3  # turns without a new part, then nobody looks for one


class Parts:
    """Meets the parts of watched networks; `watch` hooks a patient, as in `Doctor.watch`."""

    def __init__(self, engine: Any, watch: Callable[[Patient], Any]) -> None:
        self.engine, self.watch = engine, watch
        self._seen: set[int] = set()  # modules that nothing more is to be done about
        self._look: Any = None
        self._quiet_at = 0
        self._handles: list[Any] = []

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Look at every module call until each network, or its parts, have been seen."""
        self._quiet_at = self.engine.turn + QUIET
        if not any(patient.compiled for patient in self.engine.patients):
            self._look = nn.modules.module.register_module_forward_pre_hook(self._called)
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Take all hooks away."""
        self._stop()
        for handle in self._handles:
            handle.remove()

    def _stop(self) -> None:
        if self._look is not None:
            self._look.remove()
            self._look = None

    def _called(self, module: nn.Module, args: Any) -> None:
        if not self.engine.off and id(module) not in self._seen:
            self.engine.guarded(self._consider, module, args)

    def _consider(self, module: nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling() or self.engine.turn >= self._quiet_at:
            self._stop()
            return
        if is_traced():
            return
        for patient in self.engine.patients:
            if module is patient.net or module is patient.inner:
                self._seen |= {id(m) for m in (patient.net, *patient.inner.modules())}
                if all(id(p.net) in self._seen for p in self.engine.patients):
                    self._stop()
                return
        for patient in self.engine.patients:
            if any(m is module for m in patient.inner.modules()):
                self.meet(patient, module, args)
                return

    def meet(self, whole: Patient, module: nn.Module, args: Any) -> None:
        """A part is called, and its whole is not: watch it from this call on."""
        if len(self._handles) >= MOST or isinstance(module, torch.jit.ScriptModule):
            return
        if forward_frame(whole.inner) is not None:
            self._seen |= {id(m) for m in whole.inner.modules()}
            hook = Hook(lambda *_: self._entered(whole))
            self._handles.append(module.register_forward_pre_hook(hook, prepend=True))
            self._entered(whole)
            return
        if len(args) != 1 and not any(True for _ in module.parameters()):
            return  # a loss
        inside = {id(m) for m in module.modules()}
        self._seen |= inside
        for part in [p for p in whole.parts if id(p.net) in inside]:
            whole.leave(part)  # was called alone before
        name = next(n for n, m in whole.inner.named_modules() if m is module)
        part = Patient(module, f"{whole.prefix}{name}.")
        part.adopted, part.whole = whole.adopted, whole
        handle = self.watch(part)
        self._handles.append(handle)
        whole.parts[part] = handle
        # The pre-hooks of the call under way are fixed already: this one is told by hand.
        self.engine.on_forward(part, args, {})

    def _entered(self, whole: Patient) -> None:
        """The first layer of a network: was its `forward` called by the user's own code?"""
        if not self.engine.off and not torch.compiler.is_compiling():
            frame = forward_frame(whole.inner)
            if frame is not None:
                self.engine.guarded(self.engine.on_forward, whole, *given(frame))


def forward_frame(net: nn.Module) -> FrameType | None:
    """The frame of a network's forward that was called as a plain method; None where none runs."""
    code = getattr(inspect.unwrap(type(net).forward), "__code__", None)
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MOST):
        if frame is None:
            return None
        if frame.f_code is code and frame.f_locals.get(code.co_varnames[0]) is net:
            above = frame.f_back
            called = above is not None and above.f_code.co_name == "_call_impl"
            return None if called else frame
        frame = frame.f_back
    return None


def given(frame: FrameType) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a method's frame, without self: positional, by name."""
    known = inspect.getargvalues(frame)
    args = [known.locals[name] for name in known.args[1:]]
    args += known.locals[known.varargs] if known.varargs else ()
    return tuple(args), dict(known.locals[known.keywords]) if known.keywords else {}


def whole_of(module: nn.Module) -> nn.Module | None:
    """The outermost network in whose method a part of it is called, in a plain list of its too."""
    found: nn.Module | None = None
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MOST):
        if frame is None:
            break
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if names and is_users(frame):
            owner = frame.f_locals.get(names[0])
            if isinstance(owner, nn.Module) and owner is not module:
                found = owner if any(m is module for m in everywhere(owner)) else found
        frame = frame.f_back
    return found
