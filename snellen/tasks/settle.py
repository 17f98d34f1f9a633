"""Lazy layers of a user's network get their shapes before anything is counted or loaded."""

from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.errors import UsageError
from .compute import evaluating
from .task import Task

ROWS = 2


def settle(net: nn.Module, task: Task) -> nn.Module:
    """The network after a pass over blank samples, if it has layers without a shape; else as it is.

    Raises UsageError that names the module, what it was fed, and what it raised.
    """
    if not any(map(is_lazy, chain(net.parameters(), net.buffers()))):
        return net
    inputs = task.inputs()
    fed = (ROWS, inputs.channels, inputs.height, inputs.width)
    with evaluating(net), torch.no_grad():
        try:
            net(torch.zeros(fed))
        except Exception as error:
            raise refused(net, fed, error) from error
    return net


def refused(net: nn.Module, fed: tuple[int, ...], error: Exception) -> UsageError:
    """What to say of a user's network that raised."""
    first = (str(error).strip() or " ").splitlines()[0].strip()
    return UsageError(
        f"your module {type(net).__name__} raised on a batch of shape {fed} (float32): "
        f"{type(error).__name__}: {first}"
    )
