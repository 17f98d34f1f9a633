"""Memory formats of networks."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def channels_last(net: nn.Module) -> nn.Module:
    """The network, in place, with what has four axes laid out channels last.

    `net.to(memory_format=torch.channels_last)` raises at tensors of five axes, as of `nn.Conv3d`,
    and at those of lazy layers, which have no shape yet.

    >>> net = channels_last(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3)))
    >>> net[0].weight.stride(), net[1].weight.is_contiguous()
    ((27, 1, 9, 3), True)
    """
    own = list(net.parameters())
    for tensor in (*own, *net.buffers(), *(p.grad for p in own if p.grad is not None)):
        if not is_lazy(tensor) and tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return net
