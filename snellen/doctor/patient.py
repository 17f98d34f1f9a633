"""A patient: one watched network, what its parts are called, and the state that a step may spoil.

A compiled network is looked at through the module it was compiled from; hooks inside it would make
it compile again, so none are set there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..core.seeds import untouched_rng

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
HOMES = (*HOOKS, "_parameters", "_buffers", "_modules")
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class Patient:
    """One root network under watch.

    >>> Patient(nn.Sequential(nn.Linear(2, 1))).parameter_names().values()
    dict_values(['0.weight', '0.bias'])
    """

    def __init__(self, net: nn.Module, prefix: str = "") -> None:
        self.net = net
        self.prefix = prefix
        self.inner: nn.Module = getattr(net, "_orig_mod", net)
        self.compiled = self.inner is not net or net._compiled_call_impl is not None
        self.adopted = False  # found, not given
        self.kept_at = -1  # how many backward passes there were when its statistics were kept
        self.whole: Patient | None = None  # of which it is a part
        self.parts: dict[Patient, Any] = {}  # called in its stead, and their hooks
        self._keys: list[tuple[dict[str, Any], str]] | None = None
        self._kept: list[Tensor] = []

    def leave(self, *parts: "Patient") -> None:
        """Watch some parts no more, or all."""
        for part in parts or tuple(self.parts):
            self.parts.pop(part).remove()

    @property
    def is_partial(self) -> bool:
        """Whether data run through other parts of the whole too."""
        return self.whole is not None and len(self.whole.parts) > 1

    @property
    def is_inner(self) -> bool:
        """Whether another part of the whole is called before it."""
        return self.whole is not None and next(iter(self.whole.parts), self) is not self

    def parameter_names(self) -> dict[int, str]:
        """id of a parameter -> its name, prefixed where several networks are watched."""
        return {id(p): self.prefix + name for name, p in self.inner.named_parameters()}

    def modules(self) -> list[tuple[str, nn.Module]]:
        """(name, module) of every part, the root last named by its class."""
        top = self.prefix.rstrip(".") if self.whole else type(self.inner).__name__
        return [(self.prefix + n if n else top, m)
                for n, m in self.inner.named_modules()]  # fmt: skip

    def keep_statistics(self) -> None:
        """Copy the running statistics: a bad batch spoils them before its loss is seen."""
        if self._keys is None:
            self._keys = [(m._buffers, key) for m in self.inner.modules()
                          if isinstance(m, nn.modules.batchnorm._NormBase)
                          for key in ("running_mean", "running_var")
                          if m._buffers.get(key) is not None]  # fmt: skip
        if not self._keys:
            return
        now = [home[key] for home, key in self._keys]
        if not self._kept or self._kept[0].device != now[0].device:
            self._kept = [t.detach().clone() for t in now]
        else:
            torch._foreach_copy_(self._kept, now)

    @contextmanager
    def replayed(self, *, statistics: bool = True) -> Iterator[nn.Module]:
        """The network in eval mode, with the statistics from before the step; all put back after.

        The user's hooks are laid aside, so nothing that they gather sees a replay, and what a
        forward pass leaves in attributes (a hidden state, a counter) is as it was.
        """
        modules = everywhere(self.inner)
        buffers = [(m._buffers, key, b) for m in modules
                   for key, b in m._buffers.items() if b is not None]  # fmt: skip
        kept = [(m, dict(m.__dict__)) for m in modules]
        try:
            for m, own in kept:
                m.__dict__.update({name: type(own[name])() for name in HOOKS})
                m.__dict__.update({k: _stand_in(v) for k, v in own.items() if k not in HOMES})
            # Copies stand in: the pending backward pass would miss a buffer that was written to.
            for home, key, b in buffers:
                home[key] = b.detach().clone()
            with untouched_rng(), torch.no_grad():
                if statistics:
                    self._restore_statistics()
                for m in modules:
                    m.training = False
                yield self.inner
        finally:
            for m, own in kept:
                for name in m.__dict__.keys() - own.keys():
                    del m.__dict__[name]
                m.__dict__.update(own)
            for home, key, b in buffers:
                home[key] = b

    def _restore_statistics(self) -> None:
        for (home, key), kept in zip(self._keys or (), self._kept, strict=False):
            fresh = 1.0 if key == "running_var" else 0.0  # where even the kept ones are lost
            home[key].copy_(torch.where(torch.isfinite(kept), kept, fresh))

    def lost(self) -> list[str]:
        """The names of parameters that are no longer finite."""
        return [self.prefix + name for name, p in self.inner.named_parameters()
                if not torch.isfinite(p.detach()).all()]  # fmt: skip


class Handles(tuple[Any, ...]):
    """Several handles as one."""

    def remove(self) -> None:
        """Take all hooks away."""
        for handle in self:
            handle.remove()


def everywhere(net: nn.Module) -> list[nn.Module]:
    """Every module of a network, those in plain lists and dicts of its attributes too.

    >>> net = nn.Module(); net.layers = [nn.Linear(2, 2), nn.Linear(2, 2)]; len(everywhere(net))
    3
    """
    found = {id(m): m for m in net.modules()}
    for m in tuple(found.values()):
        for name, value in m.__dict__.items():
            if name not in HOMES and isinstance(value, list | tuple | dict):
                inner = value.values() if isinstance(value, dict) else value
                hidden = [part for part in inner if isinstance(part, nn.Module)]
                found |= {id(part): part for h in hidden for part in h.modules()}
    return list(found.values())


def _stand_in(value: Any) -> Any:
    """A copy of what a forward pass may write into; everything else itself."""
    if isinstance(value, Tensor):
        return value if value.requires_grad else value.detach().clone()
    return type(value)(value) if type(value) in (list, dict, set) else value


def is_lazy(p: Tensor) -> bool:
    """Whether a parameter of a lazy module has no shape yet."""
    return isinstance(p, nn.parameter.UninitializedParameter)


def named(nets: list[nn.Module]) -> list[Patient]:
    """Networks -> patients; several get their class names as prefixes, numbered where equal."""
    if len(nets) == 1:
        return [Patient(nets[0])]
    kinds = [type(net).__name__ for net in nets]
    return [Patient(net, f"{kind}{i if kinds.count(kind) > 1 else ''}.")
            for i, (net, kind) in enumerate(zip(nets, kinds, strict=True))]  # fmt: skip
