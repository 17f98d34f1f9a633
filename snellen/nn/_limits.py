"""What a network does not take of what makes it quicker: channels last, bfloat16.

Most take both. `x.view(len(x), -1)` raises where channels lie together, and writing bfloat16 into a
float32 of one's own (`scatter`, `index_add_`) raises under autocast, so a user's network is tried.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..core.seeds import untouched_rng
from ._layout import channels_last
from .count import Shape, device_of, dtype_of, unwatched_copy

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.LazyConv2d)
UNASKED = "no convolution is here to gain from channels together"
BY_VIEW = "the network raises so; write x.flatten(1) or x.reshape(...) for its x.view(...)"


@dataclass(frozen=True)
class Limits:
    """Why maps stay contiguous, and why numbers stay float32; empty where they need not."""

    contiguous: str = ""
    fp32: str = ""


def limits(net: nn.Module, input: Shape, *, tried: bool = True) -> Limits:
    """What a network takes, found by steps of a copy on two images of shape (C, H, W).

    The copy has its numbers: on the meta device some layers lay their maps out otherwise.

    >>> limits(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), (3, 8, 8))
    Limits(contiguous='', fp32='')
    >>> limits(nn.Linear(4, 2), (1, 1, 4)).contiguous
    'no convolution is here to gain from channels together'
    """
    gains = any(isinstance(module, CONVOLUTIONS) for module in net.modules())
    contiguous = "" if gains else UNASKED
    if not tried or not _raised(net, input, last=gains, bf16=True):
        return Limits(contiguous)
    if _raised(net, input):
        return Limits(contiguous)  # it runs in no way: not for us to say
    if gains and _raised(net, input, last=True):
        contiguous = BY_VIEW
    why = _raised(net, input, bf16=True)
    return Limits(contiguous, why and f"the network raises under bf16: {why}")


def _raised(net: nn.Module, input: Shape, *, last: bool = False, bf16: bool = False) -> str:
    """What a training step of a copy raises; empty where nothing."""
    twin, device = unwatched_copy(net).train(), device_of(net)
    x = torch.zeros(2, *input, device=device, dtype=dtype_of(net))
    if last:
        twin, x = channels_last(twin), x.contiguous(memory_format=torch.channels_last)
    with torch.enable_grad(), untouched_rng():
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                found = [t for t in tree_leaves(twin(x)) if isinstance(t, Tensor)]
            sums = [t.float().sum() for t in found if t.requires_grad]
            if sums:
                torch.stack(sums).sum().backward()
        except Exception as error:  # whatever a user's network raises
            return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""
