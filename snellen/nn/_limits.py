"""What a network does not take of what makes it quicker: channels last, bfloat16.

Most take both. `x.view(len(x), -1)` raises where channels lie together, and writing bfloat16 into a
float32 of one's own (`scatter`, `index_add_`) raises under autocast, so a user's network is tried.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..core.seeds import untouched_rng
from ._layout import channels_last
from .count import Shape, device_of, dtype_of, unwatched_copy

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NO_MAPS = "no convolution layer is here to gain from it"


@dataclass(frozen=True)
class Limits:
    """Why maps stay contiguous, and why numbers stay float32; empty where they need not."""

    contiguous: str = ""
    fp32: str = ""


def limits(
    net: nn.Module,
    input: Shape,
    *,
    last: bool = True,
    bf16: bool = True,
    training: bool = True,
) -> Limits:
    """What a network does not take of channels `last` and `bf16`, found by running a copy on two
    images of shape (C, H, W): a training step where that is wanted, and a pass in eval mode.

    The copy has its numbers: on the meta device some layers lay their maps out otherwise.

    >>> limits(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), (3, 8, 8))
    Limits(contiguous='', fp32='')
    >>> limits(nn.Linear(4, 2), (1, 1, 4)).contiguous
    'no convolution layer is here to gain from it'
    """
    why, last = without_maps(net), last and not without_maps(net)
    raised = partial(_raised, net, input, training=training)
    both = raised(last=last, bf16=bf16) if last or bf16 else ""
    if not both or raised():
        return Limits(why)  # it runs so, or in no way, which is not for us to say
    alone = raised(last=True) if last else ""
    fp32 = raised(bf16=True) if bf16 else ""
    if last and not fp32:
        alone = alone or both  # what raises in neither alone does in both
    return Limits((alone and f"the network raises so: {alone}") or why,
                  fp32 and f"the network raises so: {fp32}")  # fmt: skip


def without_maps(net: nn.Module) -> str:
    """Why channels last says nothing to a network; empty where it has convolutions.

    >>> without_maps(nn.Sequential(nn.Conv2d(3, 4, 3)))
    ''
    """
    has_maps = any(isinstance(module, CONVOLUTIONS) for module in net.modules())
    return "" if has_maps else NO_MAPS


def _raised(
    net: nn.Module, input: Shape, *, last: bool = False, bf16: bool = False, training: bool
) -> str:
    """What a copy raises; empty where nothing."""
    device, kind = device_of(net), dtype_of(net)
    autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=bf16)
    with torch.enable_grad(), untouched_rng():
        try:
            twin = _unheard_copy(net)
            x = torch.zeros(2, *input, device=device, dtype=kind)
            if last:
                twin, x = channels_last(twin), x.contiguous(memory_format=torch.channels_last)
            if training:
                twin.train()  # not chained: a user's own may return nothing
                with autocast():
                    found = tree_leaves(twin(x))
                sums = [t.float().sum() for t in found if isinstance(t, Tensor) and t.requires_grad]
                if sums:
                    torch.stack(sums).sum().backward()
            twin.eval()
            with autocast(), torch.no_grad():
                twin(x)
        except Exception as error:  # whatever a user's network raises, copied or run
            return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


def _unheard_copy(net: nn.Module) -> nn.Module:
    """A copy that tells nobody of its passes; what changes inputs, as weight norms do, stays."""
    twin = unwatched_copy(net)
    for module in twin.modules():
        for hooks in (module._forward_hooks, module._backward_hooks, module._backward_pre_hooks):
            hooks.clear()
    return twin
