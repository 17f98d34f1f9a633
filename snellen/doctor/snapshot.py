"""Puts back what user code changes while the doctor calls it: a network, a data set, a loss.

All objects that it can reach (attributes, slots, containers, closures, the globals its functions
name, the attributes of its classes) are kept one by one, and those that changed are restored in
place: nobody who holds one notices. What cannot be put back - an iterator, a file that is written,
a foreign object - refuses the whole, and then the doctor does not call.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .holdings import (
    LEAVES,
    changed,
    content,
    copied,
    generator,
    is_foreign,
    is_installed,
    is_library,
    is_python,
    is_stateful,
    is_trusted,
    refill,
    slots_of,
)
from .namings import bound, names_of
from .patient import HOOKS, is_lazy

MOST = 200_000  # objects
LARGE = 1 << 25  # bytes of tensors and arrays that are copied; of more only their versions are kept
MISSING = object()


class Refused(Exception):
    """Something that user code may change and that nobody can put back."""


class Snapshot:
    """What some objects are now.

    >>> rows = {"cache": [1]}
    >>> kept = Snapshot(rows)
    >>> rows["cache"].append(2); rows["more"] = 3
    >>> kept.put_back(), rows
    ([], {'cache': [1]})
    """

    def __init__(self, *roots: Any) -> None:
        self._seen: dict[int, Any] = {}
        self._undo: list[Callable[[], Any]] = []
        self._bytes = LARGE
        todo = [(root, False) for root in roots]
        try:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                while todo:
                    value, lenient = todo.pop()
                    if type(value) in LEAVES or id(value) in self._seen:
                        continue
                    self._seen[id(value)] = value
                    if len(self._seen) > MOST:
                        raise Refused("too many objects to keep")
                    inside, lenient = self._keep(value, lenient)
                    todo += [(v, lenient) for v in inside]
        except BaseException:
            self.put_back()
            raise

    def put_back(self) -> list[str]:
        """Restore whatever has changed -> what could not be."""
        todo, lost = self._undo[::-1], list[str]()
        self._undo.clear()
        with torch._C.DisableTorchFunction(), torch.no_grad():
            for _ in range(2):  # a view of an array can be unlocked after its base
                later, lost = [], []
                for undo in todo:
                    try:
                        undo()
                    except Exception as error:
                        later.append(undo)
                        lost.append(str(error))
                todo = later
        return lost

    def _keep(self, value: Any, lenient: bool) -> tuple[Any, bool]:
        """Keep one object -> what it holds, and whether that is a library's own business."""
        kind: Any = type(value)
        module = kind.__module__ if isinstance(kind.__module__, str) else ""
        if module.startswith("snellen.doctor") or is_foreign(kind, module):
            return (), lenient
        if issubclass(kind, Tensor):
            return self._tensor(value), lenient
        if issubclass(kind, np.ndarray):
            return self._array(value), lenient
        if (put := generator(value)) is not None:
            self._undo.append(put)
            return (), lenient
        if issubclass(kind, FunctionType | MethodType | partial | BuiltinFunctionType):
            return self._function(value), lenient
        if issubclass(kind, type):
            return self._class(value), lenient
        if issubclass(kind, ModuleType):
            return (), lenient
        inside = self._object(value, kind, module, lenient)
        return inside, is_installed(module) if is_python(kind) else lenient

    def _object(self, value: Any, kind: type, module: str, lenient: bool) -> Any:
        inside: list[Any] = []
        known = self._container(value, inside)
        home = _home(value)
        if home is not None:
            self._fill(home)
            hooks = HOOKS if issubclass(kind, nn.Module) else ()
            inside += [v for k, v in home.items() if k not in hooks]
        for member in slots_of(kind):
            before = _get(member, value)
            self._undo.append(partial(_set_slot, member, value, before))
            inside += [] if before is MISSING else [before]
        is_own = is_python(kind) and not is_library(module)
        if is_own:
            inside.append(kind)
        if (put := content(value)) is not None:
            self._undo.append(put)
        elif not (lenient or is_own or known or is_trusted(kind, module)) and (
            not is_python(kind) or is_stateful(kind, module)
        ):
            raise Refused(f"a {kind.__qualname__} that it holds cannot be put back")
        return inside

    def _container(self, value: Any, inside: list[Any]) -> bool:
        if isinstance(value, tuple | frozenset):
            inside += _telling(value)
        elif isinstance(value, BaseException):
            inside += value.args
        elif isinstance(value, list | dict | set | bytearray | deque):
            self._fill(value)
            if isinstance(value, dict):
                inside += [*_telling(dict.values(value)), *_telling(dict.keys(value))]
            else:
                inside += _telling(value) if not isinstance(value, bytearray) else ()
        else:
            return False
        return True

    def _fill(self, home: Any) -> None:
        self._undo.append(partial(refill, home, copied(home)))

    def _function(self, value: Any) -> list[Any]:
        if isinstance(value, partial):
            return [value.func, *value.args, *value.keywords.values()]
        if isinstance(value, MethodType):
            return [value.__self__, value.__func__]
        if isinstance(value, BuiltinFunctionType):
            owner = value.__self__
            return [] if owner is None or isinstance(owner, ModuleType) else [owner]
        inside: list[Any] = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        for cell in value.__closure__ or ():
            before = _cell(cell)
            self._undo.append(partial(_set_cell, cell, before))
            inside += [] if before is MISSING else [before]
        if not is_library(str(value.__globals__.get("__name__", ""))):
            for home, name, before in bound(names_of(value.__code__), value.__globals__):
                self._undo.append(partial(_set_name, home, name, before))
                inside.append(before)
        self._fill(value.__dict__)
        return [*inside, *value.__dict__.values()]

    def _class(self, cls: Any) -> list[Any]:
        if is_library(str(cls.__module__)):
            return []
        mine = {k: v for k, v in vars(cls).items() if not (k.startswith("__") or k == "_abc_impl")}
        self._undo.append(partial(_set_class, cls, mine))
        inside: list[Any] = [*cls.__bases__]
        for value in vars(cls).values():
            if isinstance(value, staticmethod | classmethod):
                inside.append(value.__func__)
            elif isinstance(value, property):
                inside += [f for f in (value.fget, value.fset) if f is not None]
            elif isinstance(value, FunctionType):
                inside.append(value)
        return inside + [v for v in mine.values() if not hasattr(type(v), "__get__")]

    def _tensor(self, t: Tensor) -> list[Any]:
        plain = t.layout is torch.strided and not t.is_nested and not t.is_quantized
        if not plain or t.device.type == "meta" or is_lazy(t):
            return []
        size = t.numel() * t.element_size()
        before = None
        if size <= self._bytes:
            self._bytes -= size
            before = t.detach().clone()
        version = -1 if t.is_inference() else t._version
        self._undo.append(partial(_set_tensor, t, before, version))
        return [*t.__dict__.values()] if type(t) is not Tensor and t.__dict__ else []

    def _array(self, a: Any) -> list[Any]:
        inside = a.ravel().tolist() if a.dtype == object and a.size < MOST else []
        if not a.flags.writeable:
            return [*inside, *([a.base] if a.base is not None else [])]
        if a.nbytes <= self._bytes:
            self._bytes -= a.nbytes
            self._undo.append(partial(_set_array, a, a.copy()))
        else:  # too large: whoever writes fails, and has changed nothing
            a.flags.writeable = False
            self._undo.append(partial(setattr, a.flags, "writeable", True))
        return inside


def _telling(values: Any) -> list[Any]:
    """The values that are no plain numbers and words; a million pairs of those take no loop."""
    kinds = set(map(type, values))
    if kinds <= LEAVES:
        return []
    if kinds == {tuple} and set(map(type, chain.from_iterable(values))) <= LEAVES:
        return []
    return [v for v in values if type(v) not in LEAVES]


def _home(value: Any) -> dict[str, Any] | None:
    try:
        home = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return home if type(home) is dict else None


def _get(member: Any, value: Any) -> Any:
    try:
        return member.__get__(value)
    except AttributeError:
        return MISSING


def _set_slot(member: Any, value: Any, before: Any) -> None:
    now = _get(member, value)
    if now is not before:
        member.__delete__(value) if before is MISSING else member.__set__(value, before)


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _set_cell(cell: Any, before: Any) -> None:
    if _cell(cell) is not before:
        if before is MISSING:
            del cell.cell_contents
        else:
            cell.cell_contents = before


def _set_name(home: dict[str, Any], name: str, before: Any) -> None:
    if home.get(name, MISSING) is not before:
        home[name] = before


def _set_class(cls: Any, before: dict[str, Any]) -> None:
    now = {k: v for k, v in vars(cls).items() if not (k.startswith("__") or k == "_abc_impl")}
    for name in now.keys() - before.keys():
        type.__delattr__(cls, name)
    for name, value in before.items():
        if now.get(name, MISSING) is not value:
            type.__setattr__(cls, name, value)


def _set_tensor(t: Tensor, before: Tensor | None, version: int) -> None:
    moved = version >= 0 and t._version != version
    if before is None:
        if moved:
            raise Refused(f"a tensor of shape {tuple(t.shape)} was written to, and is too large")
        return
    if t.shape != before.shape or t.dtype != before.dtype:
        t.data = before
    elif not torch.equal(t.detach(), before):
        t.data.copy_(before)
    if moved:  # a pending backward pass must not miss it
        torch._C._autograd._unsafe_set_version_counter((t,), (version,))


def _set_array(a: Any, before: Any) -> None:
    if changed(a, before):
        np.copyto(a, before)
