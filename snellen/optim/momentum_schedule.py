"""Momentum over time (notes 003): little at first, 0.99 at the end, `momentum_end=` of a recipe.

Early gradients point nowhere for long, late ones agree.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer, RMSprop

from ..core.errors import UsageError
from ..core.numbers import check_decays, check_shares
from ..core.parts import Part

PARTS = {
    "Momentum schedule": Part(
        "Schedules", "sn.optim.rising_momentum, sn.optim.set_momentum",
        "from 0.5 in a straight line to 0.99",
        "003",
    ),
}  # fmt: skip


def rising_momentum(share: float, start: float = 0.5, end: float = 0.99) -> float:
    """share of the training that is done, in [0, 1] -> momentum, in a straight line.

    Raises UsageError for a share outside [0, 1] and a momentum outside [0, 1).

    >>> rising_momentum(0.0), rising_momentum(0.5), rising_momentum(1.0)
    (0.5, 0.745, 0.99)
    """
    check_shares(share=share)
    check_decays(start=start, end=end)
    return start + (end - start) * share


def set_momentum(optimizer: Optimizer, value: float) -> None:
    """Every group's momentum: SGD's and RMSprop's, and beta1 of Adam and its kin.

    Raises UsageError for an optimiser that has none (Adagrad, Adadelta, ASGD), and outside [0, 1).

    >>> adam = torch.optim.Adam([torch.zeros(1)]); set_momentum(adam, 0.95)
    >>> adam.param_groups[0]["betas"]
    (0.95, 0.999)
    """
    check_decays(momentum=value)
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (value, *group["betas"][1:])
        elif "momentum" in group:
            group["momentum"] = value
            _make_room(optimizer, group["params"])
        else:
            raise UsageError(f"{type(optimizer).__name__} has no momentum to set")


def _make_room(optimizer: Optimizer, params: list[Tensor]) -> None:
    """RMSprop makes its momenta in the first step alone, and none where they are 0 by then."""
    if isinstance(optimizer, RMSprop):
        for state, p in ((optimizer.state[p], p) for p in params if p in optimizer.state):
            state.setdefault("momentum_buffer", torch.zeros_like(p))
