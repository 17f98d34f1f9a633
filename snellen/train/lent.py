"""A user's own network is lent to a training: afterwards it lies in memory as it did before.

The weights are the trained ones; what is taken back is what made the training quicker. Otherwise
`parameters_to_vector`, L-BFGS and whatever else flattens weights by `view` would raise on them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..nn.conv_by_shape import ConvByShape, slowed


@contextmanager
def lent(net: nn.Module | None) -> Iterator[None]:
    """As it came, after; one that was accelerated before stays so.

    >>> import torch
    >>> net = nn.Conv2d(4, 2, 3)
    >>> with lent(net):
    ...     _ = net.to(memory_format=torch.channels_last)
    >>> net.weight.is_contiguous()
    True
    """
    if not isinstance(net, nn.Module) or _is_quick(net):
        yield
        return
    try:
        yield
    finally:
        slowed(net)
        for tensor in _maps(net):
            tensor.data = tensor.data.contiguous()


def _is_quick(net: nn.Module) -> bool:
    """Whether the user made it so: by sn.accelerate, or by laying it channels last."""
    by_user = any(isinstance(module, ConvByShape) for module in net.modules())
    return by_user or not all(tensor.is_contiguous() for tensor in _maps(net))


def _maps(net: nn.Module) -> list[Tensor]:
    own = list(net.parameters())
    tensors = (*own, *net.buffers(), *(p.grad for p in own if p.grad is not None))
    return [t for t in tensors if not is_lazy(t) and t.ndim == 4]
