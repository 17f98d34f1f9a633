"""What the doctor hangs on a user's modules: hooks that no copy, file or exported program has.

They hear nothing of a pass that torch only traces: their own work would be written into the graph.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._C import _TorchDispatchModeKey as Mode
from torch.jit import _recursive as scripting

Vmap = torch._C._functorch.TransformType.Vmap
LEVELS = torch._C._functorch.get_interpreter_stack
EXPORTING, TRACING = torch.compiler.is_exporting, torch._C._is_tracing
MODES, MODE = torch._C._len_torch_dispatch_stack, torch._C._get_dispatch_mode
HOMES = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called",
         "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")  # fmt: skip


class Torchs(NamedTuple):
    """How torch by itself copies and scripts a module."""

    state: Callable[..., Any]
    script: Callable[..., Any]


PLAIN = Torchs(nn.Module.__getstate__, scripting.create_script_module)
OPEN: list[Torchs] = []  # one for each watch of this process


class Hook:
    """A hook of the doctor's; `heard` is called as a function in its place would be.

    Where a class has a `__getstate__` of its own, what is pickled is a hook of Python's own that
    does nothing, so that the file opens without Snellen.
    """

    __slots__ = ("heard",)

    def __init__(self, heard: Callable[..., Any]) -> None:
        self.heard = heard

    def __call__(self, *args: Any) -> Any:
        """Pass it on, where the pass is a real one."""
        return None if is_traced() else self.heard(*args)

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")


# By their names in nn.Module: those of a scripted module only refuse.
before_forward = nn.Module.register_forward_pre_hook
after_forward = nn.Module.register_forward_hook


def is_traced() -> bool:
    """Whether torch exports or traces what runs, or calls it on tensors that show no values.

    >>> is_traced()
    False
    """
    if EXPORTING() or TRACING():
        return True
    if MODES() and (MODE(Mode.FAKE) is not None or MODE(Mode.PROXY) is not None):
        return True
    inside = LEVELS()
    return bool(inside) and any(level.key() == Vmap for level in inside)


@contextmanager
def uncopied() -> Iterator[None]:
    """While open, modules are copied, pickled and scripted without the doctor's hooks."""
    if not OPEN:
        own = Torchs(nn.Module.__getstate__, scripting.create_script_module)
        nn.Module.__getstate__ = _state  # type: ignore[method-assign]
        scripting.create_script_module = _scripted  # type: ignore[assignment]
    else:
        own = OPEN[0]
    OPEN.append(own)
    try:
        yield
    finally:
        OPEN.pop()
        if not OPEN:
            if nn.Module.__getstate__ is _state:
                nn.Module.__getstate__ = own.state  # type: ignore[method-assign]
            if scripting.create_script_module is _scripted:
                scripting.create_script_module = own.script


def _state(module: nn.Module) -> Any:
    """What is copied of a module."""
    state = (OPEN or [PLAIN])[0].state(module)  # someone may have put theirs over ours
    return {**state, **_cleared(state)} if isinstance(state, dict) else state


def _scripted(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """TorchScript compiles hooks too, and ours are Python."""
    kept = [(home[name], dict(home[name]), rest)
            for home in (m.__dict__ for m in module.modules())
            for name, rest in _cleared(home).items()]  # fmt: skip
    for hooks, _, rest in kept:
        _fill(hooks, rest)
    try:
        return (OPEN or [PLAIN])[0].script(module, *args, **kwargs)
    finally:
        for hooks, every, _ in kept:
            _fill(hooks, every)


def _cleared(home: dict[str, Any]) -> dict[str, Any]:
    """The hooks of a module, and what is known of them, without the doctor's."""
    ours = {key for name in HOMES[:2] for key, hook in home.get(name, {}).items()
            if isinstance(hook, Hook)}  # fmt: skip
    return {name: type(hooks)((k, v) for k, v in hooks.items() if k not in ours)
            for name, hooks in home.items() if ours and name in HOMES}  # fmt: skip


def _fill(hooks: dict[int, Any], content: dict[int, Any]) -> None:
    hooks.clear()
    hooks.update(content)
