"""Batch norm's population statistics: mean and variance of all samples, not a running average.

The ResNet authors' release: after training, each normalisation's mean and variance are computed
anew over the training set. A running average with momentum 0.1 needs some dozens of steps to
forget where it began; a short training is judged by statistics that it no longer has.

Notes 004 (4) average the batches' variances: without what lies between the batches' means, so that
batches which are not alike give too small a variance (`snellen.byhand.batch_norm` has it so). Here
all samples are pooled: the variance is that of the set, however it was cut into batches.
"""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..core.errors import UsageError
from ..core.parts import Part
from ..core.wide import wide

PARTS = {
    "Batch norm's population statistics": Part(
        "Layers and shapes",
        "sn.nn.recompute_statistics, torch.optim.swa_utils.update_bn",
        "mean and variance of all samples, pooled over the batches, in the place of running ones",
        "004",
    ),
}


class _Moments:
    """Mean and squared deviations of the inputs of one normalisation, per channel, over batches.

    Each batch's are computed in its own precision and merged in float64 (Chan et al. 1979).
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean_C = self.square_C = torch.zeros((), dtype=torch.float64)

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        x = args[0].detach()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        num = x.numel() // x.shape[1]
        if not num:
            return
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        var_C, mean_C = map(wide, torch.var_mean(x, axes, correction=0))
        apart_C, total = mean_C - self.mean_C.to(mean_C.device), self.count + num
        self.mean_C = mean_C - apart_C * (self.count / total)
        between_C = apart_C.square() * (self.count * num / total)
        self.square_C = self.square_C.to(var_C.device) + num * var_C + between_C
        self.count = total


@torch.no_grad()
def recompute_statistics(net: nn.Module, batches: Iterable[Any]) -> int:
    """Set the running statistics of every batch norm that is in training mode to those of all
    samples of `batches` (x_BCHW or (x, y) each), pooled; variances are unbiased. Returns how many
    were set: none by no batches or by a single value a channel.

    Layers in between see each batch normalised by its own statistics, as in training; dropout
    rests. Weights and modes stay as they are. A norm in evaluation mode is a frozen one and keeps
    its statistics; where the whole network is in that mode UsageError is raised.

    >>> norm = nn.BatchNorm2d(1)
    >>> recompute_statistics(norm, [torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)]), norm.running_mean
    (1, tensor([2.]))
    """
    found = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    norms = [m for m in found if m.training]
    if found and not any(m.training for m in net.modules()):
        raise UsageError(
            f"the network is in evaluation mode, in which its {len(found)} batch norms count as "
            "frozen; call net.train() first, and net.eval() after"
        )
    if not norms:
        return 0
    modes = [(m, m.training) for m in net.modules()]
    momenta = [m.momentum for m in norms]
    moments = [_Moments() for _ in norms]
    counted = [None if (n := m.num_batches_tracked) is None else n.clone() for m in norms]
    with ExitStack() as stack:
        stack.enter_context(_uncompiled())
        for norm, gather in zip(norms, moments, strict=True):
            stack.callback(norm.register_forward_pre_hook(gather).remove)
        net.eval()
        for norm in norms:
            norm.training, norm.momentum = True, 0.0
        try:
            for batch in batches:
                net(_inputs(batch))
        finally:
            for module, mode in modes:
                module.training = mode
            for norm, momentum, count in zip(norms, momenta, counted, strict=True):
                norm.momentum = momentum
                if count is not None:
                    norm.num_batches_tracked = count
    for norm, gather in zip(norms, moments, strict=True):
        _set(norm, gather)
    return sum(gather.count > 1 for gather in moments)


def _uncompiled() -> AbstractContextManager[Any]:
    """The compiler rests: graphs of these hooks and modes would serve no step of a training. Where
    nothing was compiled yet, it is not even loaded.
    """
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def _inputs(batch: Any) -> Any:
    """x of a batch: itself, or the first of (x, y) as a DataLoader gives them."""
    x = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if not isinstance(x, Tensor):
        raise UsageError(f"a batch is a {type(batch).__name__}; x_BCHW, or (x, y), is wanted")
    return x


def _set(norm: _BatchNorm, gathered: _Moments) -> None:
    count = gathered.count
    if count < 2 or norm.running_mean is None or norm.running_var is None:
        return
    norm.running_mean.copy_(gathered.mean_C)
    norm.running_var.copy_(gathered.square_C / (count - 1))
