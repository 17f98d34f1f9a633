"""Momentum over time (notes 003): little at first, 0.99 at the end, `momentum_end=` of a recipe.

Early gradients point nowhere for long, late ones agree.
"""

from torch.optim import Optimizer

from ..core.errors import UsageError
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

    >>> rising_momentum(0.0), rising_momentum(0.5), rising_momentum(1.0)
    (0.5, 0.745, 0.99)
    """
    return start + (end - start) * min(max(share, 0.0), 1.0)


def set_momentum(optimizer: Optimizer, value: float) -> None:
    """Every group's momentum: beta1 of Adam and its kin, rho of Adadelta, alpha of RMSprop.

    Raises UsageError for an optimiser that has none (Adagrad), and outside [0, 1).

    >>> import torch
    >>> adam = torch.optim.Adam([torch.zeros(1)]); set_momentum(adam, 0.95)
    >>> adam.param_groups[0]["betas"]
    (0.95, 0.999)
    """
    if not 0 <= value < 1:
        raise UsageError(f"momentum={value} must be at least 0 and below 1")
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (value, *group["betas"][1:])
            continue
        key = next((key for key in ("rho", "alpha", "momentum") if key in group), None)
        if key is None:
            raise UsageError(f"{type(optimizer).__name__} has no momentum to set")
        group[key] = value
