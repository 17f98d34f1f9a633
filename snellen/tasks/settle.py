"""Lazy layers of a user's network get their shapes before anything is counted or loaded."""

from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..core.errors import UsageError, shortlist
from ..core.modes import evaluating
from ..nn.count import device_of, dtype_of, unwatched_copy
from .task import Task

ROWS = 2


def settle(net: nn.Module, task: Task) -> nn.Module:
    """The network after a pass over blank samples, if it has layers without a shape; else as it is.

    Raises UsageError that names the module, and what it raised or what is left without a shape.
    """
    if not _lazy(net):
        return net
    inputs = task.inputs()
    fed = (ROWS, inputs.channels, inputs.height, inputs.width)
    with evaluating(net), torch.no_grad():
        try:
            net(torch.zeros(fed, device=device_of(net), dtype=dtype_of(net)))
        except Exception as error:
            raise refused(net, fed, error) from error
    if left := _lazy(net):
        raise UsageError(
            f"{shortlist(left)} of your module {type(net).__name__} got no shape from a pass in "
            "eval mode: call it once on a batch before, or give the layers their sizes"
        )
    return net


def own_copy(net: nn.Module, task: Task) -> nn.Module:
    """A copy of the user's network, to hold other weights; raises UsageError where it is none."""
    if not isinstance(net, nn.Module):
        raise UsageError(f"model= takes the network itself, an nn.Module, not {net!r}")
    return unwatched_copy(settle(net, task))


def refused(net: nn.Module, fed: tuple[int, ...], error: Exception, how: str = "") -> UsageError:
    """What to say of a user's network that raised, `how` it was run."""
    first = (str(error).strip() or " ").splitlines()[0].strip()
    return UsageError(
        f"your module {type(net).__name__} raised on a batch of shape {fed}{how}: "
        f"{type(error).__name__}: {first}"
    )


def _lazy(net: nn.Module) -> list[str]:
    """Names of what has no shape yet."""
    return [name for name, v in chain(net.named_parameters(), net.named_buffers()) if is_lazy(v)]
