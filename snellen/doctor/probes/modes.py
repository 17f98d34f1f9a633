"""The same batch with the batch's own statistics and with the running ones: how far apart?

Only batch norm changes its mode: dropout stays off in both.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ...core.wide import wide
from ..loader import tensors_of
from ._replay import Replay

LEAST, LATE = 16, 19  # samples, and steps before which running statistics may lag


def modes(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network with batch norm -> its losses and outputs in both modes, and its settings."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [m for m in norms if m.running_mean is not None]
    step = replay.eyes.step
    if not norms or replay.size < LEAST or (step < LATE and not replay.last):
        return None
    still = net(*replay.args, **replay.kwargs)
    for norm in norms:
        norm.training = True
    moving = net(*replay.args, **replay.kwargs)
    values: dict[str, Any] = {
        "momentum": [norm.momentum for norm in norms][:64], "norms": len(norms),
        "tracked": min((int(n) for norm in norms
                        if (n := norm.num_batches_tracked) is not None), default=step),
    }  # fmt: skip
    pairs = [(a, b) for (_, a), (_, b) in zip(tensors_of(still), tensors_of(moving), strict=True)
             if a.is_floating_point()]  # fmt: skip
    if not pairs or not all(torch.isfinite(b).all() for _, b in pairs):
        return None
    values["gap"] = max(_gap(wide(a), wide(b)) for a, b in pairs)
    losses = [replay.loss(out, replay.size) for out in (still, moving)]
    if losses[0] is not None and losses[1] is not None:
        values |= {"loss_eval": losses[0].mean().item(), "loss_train": losses[1].mean().item()}
    return values


def _gap(still: Tensor, moving: Tensor) -> float:
    """The distance of two outputs, as a share of the size of what varies in the second."""
    size = (moving - moving.mean(0)).square().mean().sqrt()
    return ((still - moving).square().mean().sqrt() / (size + 1e-12)).item()


REPLAYS = {"modes": modes}
