"""Compiling a network's forward pass in place: it keeps its class, its names and its hooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def compile_forward(net: nn.Module, **how: Any) -> None:
    """From now on `net(x)` runs a compiled forward pass; `how` goes to torch.compile.

    `net.compile()` leaves a plain nn.Sequential as it is: the compiler skips frames of PyTorch's
    own files, and such a net has no others. A function of ours around it is not skipped. Hooks of
    the net itself stay outside the graph, and no name in its state changes.

    >>> net = nn.Sequential(nn.Linear(2, 2))
    >>> compile_forward(net, backend="eager")
    >>> tuple(net(torch.ones(3, 2)).shape), list(net.state_dict())
    ((3, 2), ['0.weight', '0.bias'])
    """
    plain = net.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return plain(*args, **kwargs)

    compiled = torch.compile(forward, **how)

    def call(*args: Any, **kwargs: Any) -> Any:
        net.forward = compiled  # for this call only: a copy of the net shall compute by itself
        try:
            return net._call_impl(*args, **kwargs)
        finally:
            net.__dict__.pop("forward", None)

    net._compiled_call_impl = call  # not among the parameters, and left out of copies


@contextmanager
def uncompiled(net: nn.Module) -> Iterator[None]:
    """Inside, the net runs as it is written: hooks in its midst would be compiled as well.

    >>> net = nn.Sequential(nn.Linear(2, 2))
    >>> compile_forward(net, backend="eager")
    >>> with uncompiled(net):
    ...     net._compiled_call_impl is None
    True
    """
    call, net._compiled_call_impl = net._compiled_call_impl, None
    try:
        yield
    finally:
        net._compiled_call_impl = call
