"""The same batch with the batch's own statistics and with the running ones: how far apart?

Only batch norm changes its mode: dropout stays off in both. Of several outputs one that jumps
where the input is shaken by a thousandth is a choice, such as the regions that a detector looks
at: two of them are two choices and no distance.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ...core.wide import wide
from ..loader import tensors_of
from ._replay import Replay

LEAST, LATE = 16, 19  # samples, and steps before which running statistics may lag
FAR, SHAKE, JUMP = 0.3, 1e-3, 0.1  # gap that is asked about, noise of the input, jump of a choice


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
    pairs = list(zip(_floats(still), _floats(moving), strict=True))
    if not all(torch.isfinite(b).all() for _, b in pairs):
        return None
    if len(pairs) > 1 and any(_gap(a, b) > FAR for a, b in pairs):
        for norm in norms:
            norm.training = False
        shaken = _floats(net(*_shaken(replay.args), **replay.kwargs))
        calm = [(a, b) for (a, b), c in zip(pairs, shaken, strict=True)
                if a.shape == b.shape and not _jumps(c, a)]  # fmt: skip
        pairs = calm or pairs  # where all of them jump it is the network that does
    if not pairs:
        return None
    values["gap"] = max(_gap(a, b) for a, b in pairs)
    losses = [replay.loss(out, replay.size) for out in (still, moving)]
    if losses[0] is not None and losses[1] is not None:
        values |= {"loss_eval": losses[0].mean().item(), "loss_train": losses[1].mean().item()}
    return values


def _floats(out: Any) -> list[Tensor]:
    return [wide(t) for _, t in tensors_of(out) if t.is_floating_point()]


def _shaken(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, those that are real numbers with a little noise."""
    noise = torch.Generator().manual_seed(0)

    def shake(arg: Any) -> Any:
        if not isinstance(arg, Tensor) or not arg.is_floating_point():
            return arg
        drawn = torch.randn(arg.shape, generator=noise).to(arg)
        return arg + SHAKE * arg.square().mean().sqrt() * drawn

    return tuple(shake(arg) for arg in args)


def _jumps(shaken: Tensor, still: Tensor) -> bool:
    if shaken.shape != still.shape:
        return True
    return bool((shaken - still).square().mean() > JUMP**2 * still.square().mean())


def _gap(still: Tensor, moving: Tensor) -> float:
    """The distance of two outputs, as a share of the size of what varies in the second; without
    end where there is not even the same number of things.
    """
    if still.shape != moving.shape:
        return float("inf")
    size = (moving - moving.mean(0)).square().mean().sqrt()
    return ((still - moving).square().mean().sqrt() / (size + 1e-12)).item()


REPLAYS = {"modes": modes}
