"""Runs a batch again, row by row where that is needed, to see which rows are not finite alone.

Eval mode, for in train mode batch norm spreads one bad row over all. A loss is called again where
the user gave it or where it was one of torch's; else the outputs are all that can be judged.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .loader import tensors_of
from .probes._measure import bad_rows

LossOf = Callable[[Any, Tensor], Tensor]


class Unfit(ValueError):
    """An output or a target that the loss which was heard does not take."""


def select(value: Any, rows: Tensor, batch_size: int) -> Any:
    """Nested arguments -> the same with the given rows of everything that has a batch axis.

    >>> select((torch.arange(3), 7), torch.tensor([2]), 3)
    (tensor([2]), 7)
    """
    if isinstance(value, Tensor):
        mine = value.dim() and len(value) == batch_size
        return value.detach()[rows.to(value.device)] if mine else value
    if isinstance(value, dict):
        return {k: select(v, rows, batch_size) for k, v in value.items()}
    if isinstance(value, list) and len(value) == batch_size:
        return [value[i] for i in rows.tolist()]
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(select(v, rows, batch_size) for v in value)
    return value


def loss_of(loss_fn: Any, template: Any) -> LossOf | None:
    """How to call the loss on some rows; None where nothing is known of it."""
    if loss_fn is not None:
        return lambda out, target: loss_fn(out, target)
    if template is None:
        return None
    function, tail = getattr(F, template.function), template.input_tail

    def call(out: Any, target: Tensor) -> Tensor:
        fitting = [t for _, t in tensors_of(out) if tuple(t.shape[1:]) == tail]
        if not fitting:
            raise Unfit(f"no output of shape (N, *{tail}), which {template.function} was given")
        try:
            return function(fitting[0], target, **template.more)
        except (ValueError, RuntimeError) as error:
            if tuple(target.shape[1:]) == template.target_tail:
                raise
            raise Unfit(f"{template.function} was given other targets: {error}") from error

    return call


def bad_outputs(out: Any, batch_size: int) -> list[int]:
    """The rows of a network's output that are not finite."""
    bad: set[int] = set()
    for _, t in tensors_of(list(out.values()) if isinstance(out, dict) else out):
        if t.dim() and len(t) == batch_size:
            bad.update(bad_rows(t).tolist())
    return sorted(bad)


def bad_losses(call: LossOf, out: Any, target: Tensor, batch_size: int) -> list[int]:
    """The rows whose own loss is not finite; they are called singly only if their mean is not."""
    if bool(torch.isfinite(call(out, target).detach()).all()):
        return []
    rows = torch.arange(batch_size)
    return [i for i in range(batch_size) if not bool(torch.isfinite(
        call(select(out, rows[i : i + 1], batch_size), target[i : i + 1])).all())]  # fmt: skip


def bad_gradients(
    net: nn.Module, call: LossOf, run: Callable[[Tensor], Any], target: Tensor
) -> list[int]:
    """The rows whose own gradient is not finite though their loss is."""
    params = [p for p in net.parameters() if p.requires_grad]
    every = torch.arange(len(target))

    def finite(rows: Tensor) -> bool:
        with torch.enable_grad():
            loss = call(run(rows), target[rows.to(target.device)])
            grads = torch.autograd.grad(loss.mean(), params, allow_unused=True)
        return all(bool(torch.isfinite(g.sum())) for g in grads if g is not None)

    return [] if finite(every) else [i for i in range(len(target)) if not finite(every[i : i + 1])]


def first_bad_module(net: nn.Module, call: Callable[[], Any]) -> tuple[str, str]:
    """Name and class of the innermost first module that makes something non-finite of finite input.

    To be called inside `Patient.replayed`, which lays the user's hooks aside and ours with them.
    """
    found: list[tuple[str, str]] = []

    def look(name: str) -> Callable[..., None]:
        def left(module: nn.Module, args: Any, out: Any) -> None:
            if not found and _finite(args) and not _finite(out):
                found.append((name, type(module).__name__))

        return left

    for name, module in net.named_modules():
        module.register_forward_hook(look(name))
    call()
    return found[0] if found else ("", "")


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(t).all()) for _, t in tensors_of(value))
