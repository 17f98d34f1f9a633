"""Sees every backward pass: `torch.autograd.backward`, through which `Tensor.backward` goes.

A gradient scaler multiplies the loss by 65536 or so; the loss that is reported is the one before.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def seen(
    before: Callable[[Tensor], None], after: Callable[[], None] | None = None
) -> Iterator[None]:
    """Call `before(loss)` ahead of every backward pass of the process, and `after()` behind it."""
    original = torch.autograd.backward
    scale = torch.amp.GradScaler.scale
    unscaled: list[Any] = [None, None]  # weak references: the scaled loss, the loss

    def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        loss = tensors
        if not isinstance(tensors, Tensor):
            if isinstance(tensors, Iterator):  # a generator can be read once
                tensors = tuple(tensors)
            loss = _first(tensors)
        if loss is not None:
            if unscaled[0] is not None and unscaled[0]() is loss:
                loss = unscaled[1]() if unscaled[1]() is not None else loss
            before(loss)
        original(tensors, *args, **kwargs)
        if after is not None:
            after()

    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if isinstance(result, Tensor):
            unscaled[:] = weakref.ref(result), weakref.ref(outputs)
        return result

    torch.autograd.backward = backward
    torch.amp.GradScaler.scale = scaled  # type: ignore[method-assign]
    try:
        yield
    finally:
        # Another tool may have wrapped ours meanwhile; taking its wrapper away would be worse.
        if torch.autograd.backward is backward:
            torch.autograd.backward = original
        if torch.amp.GradScaler.scale is scaled:
            torch.amp.GradScaler.scale = scale  # type: ignore[method-assign]


def _first(tensors: Any) -> Tensor | None:
    if hasattr(tensors, "node"):  # a GradientEdge has no value
        return None
    first = next(iter(tensors), None)
    return first if isinstance(first, Tensor) else None
