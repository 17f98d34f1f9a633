"""A network's own modes, kept while somebody else looks at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Eval mode inside, every module's own mode again after.

    >>> net = nn.Sequential(nn.Dropout())
    >>> with evaluating(net):
    ...     net[0].training
    False
    >>> net[0].training
    True
    """
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
