"""Copies in double precision of what computes: the user's own is never run, moved or drawn from.

A function is rebuilt around copies of the modules and the tensors that it refers to, so that
`lambda x: loss(net(x))` can be checked with all parameters of `net`.
"""

import copy
import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...core.errors import UsageError
from ...core.seeds import set_rng_state
from ...core.wide import has_float64, wide
from ..patient import HOOKS, is_lazy
from .subject import Leaf

NARROW = (torch.float32, torch.float16, torch.bfloat16)
TO_NARROW = (Tensor.float, Tensor.half, Tensor.bfloat16)


def mapped(value: Any, change: Callable[[Tensor, str], Any], name: str = "x") -> Any:
    """Nested values -> the same with every tensor changed; it is told the tensor's place.

    >>> mapped((torch.ones(1), 3), lambda tensor, name: name)
    ('x[0]', 3)
    """
    if isinstance(value, Tensor):
        return change(value, name)
    if isinstance(value, dict):
        return {k: mapped(v, change, f"{name}[{k!r}]") for k, v in value.items()}
    if isinstance(value, tuple | list):
        made = [mapped(v, change, f"{name}[{i}]") for i, v in enumerate(value)]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    return value


def double(value: Tensor, name: str = "") -> Tensor:
    """A float tensor -> a copy in float64; any other -> a copy."""
    detached = value.detach().clone(memory_format=torch.contiguous_format)
    return wide(detached) if value.is_floating_point() else detached


class Twins:
    """The modules behind some callables, copied together so that what is shared stays shared."""

    def __init__(self, given: dict[str, Any], wide: bool = True) -> None:
        self.wide = wide
        self.modules: dict[str, nn.Module] = {}
        for name, thing in given.items():
            self.modules |= _modules_of(name, thing)
        for name, module in self.modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                raise UsageError(f"{name or 'the module'} is compiled by torch.jit; "
                                 "give the module that it was compiled from")  # fmt: skip
            refuse([*module.parameters(), *module.buffers()],
                   f"a tensor of {name or type(module).__name__}")  # fmt: skip
        self.twins = _copied(self.modules)
        for twin in self.twins.values():
            _prepare(twin, wide)
        self._buffers = [(m._buffers, key, b, b.clone()) for t in self.twins.values()
                         for m in t.modules() for key, b in m._buffers.items()
                         if b is not None]  # fmt: skip

    def of(self, thing: Any) -> Any:
        """A callable -> the same around the copies."""
        own = {id(m): self.twins[name] for name, m in self.modules.items()}

        def instead(value: Any) -> Any:
            if isinstance(value, Tensor):
                return double(value) if self.wide else value.detach().clone()
            return own.get(id(value), value)

        if isinstance(thing, nn.Module):
            return instead(thing)
        if isinstance(thing, MethodType) and id(thing.__self__) in own:
            return MethodType(thing.__func__, own[id(thing.__self__)])
        if isinstance(thing, functools.partial):
            words = {k: instead(v) for k, v in thing.keywords.items()}
            return functools.partial(self.of(thing.func), *map(instead, thing.args), **words)
        return _rebuilt(thing, instead) if isinstance(thing, FunctionType) else thing

    def parameters(self) -> Iterator[Leaf]:
        """The parameters to be learnt, each once, by the names that the user knows."""
        every = [m for twin in self.twins.values() for m in twin.modules()]
        fixed = {id(m.weight): m.padding_idx for m in every
                 if isinstance(m, nn.Embedding | nn.EmbeddingBag)}  # fmt: skip
        seen: set[int] = set()
        for prefix, twin in self.twins.items():
            for name, p in twin.named_parameters():
                if p.requires_grad and id(p) not in seen:
                    seen.add(id(p))
                    yield Leaf(f"{prefix}.{name}".strip("."), p, fixed=fixed.get(id(p)))

    @contextmanager
    def fresh(self, random: dict[str, Any] | None) -> Iterator[None]:
        """One evaluation: buffers and random numbers as at the first, all in double precision."""
        for home, key, buffer, kept in self._buffers:
            home[key] = buffer
            if not torch.equal(buffer, kept):
                buffer.detach().copy_(kept)
        if random is not None:
            set_rng_state(random)
        if not self.wide:
            yield
            return
        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with _Widened():
                yield
        finally:
            torch.set_default_dtype(usual)


class _Widened(TorchFunctionMode):
    """Whoever asks for float32 or less (`x.float()`, `dtype=torch.bfloat16`) gets float64."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # the names and their order are torch's
        words = {k: _wide(v) for k, v in (kwargs or {}).items()}
        if func in TO_NARROW:
            return Tensor.double(args[0], **words)
        return func(*map(_wide, args), **words)


def _wide(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value in NARROW else value


def _modules_of(name: str, thing: Any) -> dict[str, nn.Module]:
    """The modules that a callable is or refers to, by the names to be shown."""
    if isinstance(thing, nn.Module):
        return {name: thing}
    if isinstance(thing, MethodType) and isinstance(thing.__self__, nn.Module):
        return {name: thing.__self__}
    if isinstance(thing, functools.partial):
        return _modules_of(name, thing.func)
    return {k: v for k, v in _referred(thing).items() if isinstance(v, nn.Module)}


def _referred(thing: Any) -> dict[str, Any]:
    """Modules and tensors that a function has in its closure or finds among its globals."""
    if not isinstance(thing, FunctionType):
        return {}
    try:
        found = inspect.getclosurevars(thing)
    except ValueError:  # a cell that is still empty
        return {}
    every = {**found.globals, **found.nonlocals}
    return {k: v for k, v in every.items() if isinstance(v, nn.Module | Tensor)}


def _rebuilt(function: FunctionType, instead: Callable[[Any], Any]) -> FunctionType:
    referred = _referred(function)
    if not referred:
        return function
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(CellType(instead(referred[k])) if k in referred else c for k, c in cells)
    world = {**function.__globals__, **{k: instead(v) for k, v in referred.items()}}
    made = FunctionType(function.__code__, world, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def refuse(tensors: Iterable[Tensor], what: str) -> None:
    """Raise UsageError for what has no numbers that could be moved in float64.

    >>> refuse([torch.ones(2)], "x")
    """
    for t in tensors:
        if is_lazy(t):
            raise UsageError(f"{what} has no shape yet; run a batch through the module once")
        if t.is_meta:
            raise UsageError(f"{what} is on the meta device, without numbers; give real ones")
        if t.is_complex():
            raise UsageError(f"{what} is complex, and only real tensors can be checked here; "
                             "torch.autograd.gradcheck takes complex ones")  # fmt: skip
        if t.layout != torch.strided or t.is_nested:
            raise UsageError(f"{what} is sparse or nested ({t.layout}); give a dense tensor")


def _copied(modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Deep copies without the user's hooks; those of torch.nn.utils compute, and stay."""
    hooks = [(m, kind, m.__dict__[kind]) for module in modules.values()
             for m in module.modules() for kind in HOOKS]  # fmt: skip
    try:
        for m, kind, own in hooks:
            kept = [(k, h) for k, h in own.items() if _is_torchs(h)]
            m.__dict__[kind] = OrderedDict(kept)
        return copy.deepcopy(modules)
    except Exception as error:
        names = ", ".join(type(m).__name__ for m in modules.values())
        raise UsageError(f"{names} cannot be copied, so it cannot be checked without changing it: "
                         f"{error}; copy.deepcopy(module) must work") from error  # fmt: skip
    finally:
        for m, kind, own in hooks:
            m.__dict__[kind] = own


def _is_torchs(hook: Any) -> bool:
    home = getattr(hook, "__module__", None) or type(hook).__module__
    return str(home).startswith("torch.nn.utils")


def _prepare(twin: nn.Module, wide: bool) -> None:
    for p in twin.parameters():
        p.grad = None
    if wide:
        if not all(has_float64(t.device.type) for t in [*twin.parameters(), *twin.buffers()]):
            twin.cpu()
        twin.to(torch.float64)
        for m in twin.modules():  # tensors that are neither parameters nor buffers
            m.__dict__.update({k: double(v) for k, v in m.__dict__.items()
                               if isinstance(v, Tensor) and v.is_floating_point()
                               and v.is_leaf and not v.requires_grad})  # fmt: skip
