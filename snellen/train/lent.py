"""A user's own network is lent to a training: afterwards it lies in memory as it did before.

The weights are the trained ones; what is taken back is what made the training quicker. Otherwise
`parameters_to_vector`, L-BFGS and whatever else flattens weights by `view` would raise on them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..nn.conv_by_shape import is_accelerated, slowed


@contextmanager
def lent(net: nn.Module | None) -> Iterator[None]:
    """As it came, after: one that was accelerated, or laid channels last, before stays so.

    >>> import torch
    >>> net = nn.Conv2d(4, 2, 3)
    >>> with lent(net):
    ...     _ = net.to(memory_format=torch.channels_last)
    >>> net.weight.is_contiguous()
    True
    """
    if net is None:
        yield
        return
    was_quick, was_plain = is_accelerated(net), all(t.is_contiguous() for t in _maps(net))
    try:
        yield
    finally:
        if not was_quick:
            slowed(net)
        for tensor in _maps(net) if was_plain else ():
            tensor.data = tensor.data.contiguous()


def _maps(net: nn.Module) -> list[Tensor]:
    own = list(net.parameters())
    tensors = (*own, *net.buffers(), *(p.grad for p in own if p.grad is not None))
    return [t for t in tensors if not is_lazy(t) and t.ndim == 4]
