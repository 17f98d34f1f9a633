"""Memory formats of networks."""

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..core.seeds import untouched_rng
from .count import Shape, device_of, dtype_of, unwatched_copy

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.LazyConv2d)


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


def why_contiguous(net: nn.Module, input: Shape, *, tried: bool = True) -> str:
    """Why a network gains nothing from channels last, or cannot compute so; empty where it can.

    `x.view(len(x), -1)` raises where channels lie together; so networks that flatten by it run in
    the one format and not in the other. A copy is tried on images of shape (C, H, W): its numbers
    are needed, for on the meta device some layers lay their maps out otherwise.

    >>> why_contiguous(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), (3, 8, 8))
    ''
    >>> why_contiguous(nn.Linear(4, 2), (1, 1, 4))
    'no convolution is here to gain from channels together'
    """
    if not any(isinstance(module, CONVOLUTIONS) for module in net.modules()):
        return "no convolution is here to gain from channels together"
    if not tried:
        return ""
    twin, last = unwatched_copy(net).eval(), torch.channels_last
    x = torch.zeros(2, *input, device=device_of(net), dtype=dtype_of(net))
    if _runs(twin, x) and not _runs(channels_last(twin), x.contiguous(memory_format=last)):
        return "the network raises so; write x.flatten(1) or x.reshape(...) for its x.view(...)"
    return ""


def _runs(net: nn.Module, x: Tensor) -> bool:
    with torch.no_grad(), untouched_rng():
        try:
            net(x)
        except Exception:  # whatever a user's network raises
            return False
    return True
