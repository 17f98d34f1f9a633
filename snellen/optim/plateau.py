"""Decay after watching the loss (notes 003): the learning rate falls when the loss stops falling.

When to decay is a hyper-parameter of second order; this reads it off the training instead.
"""

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..core.errors import UsageError
from ..core.numbers import check_rates
from ..core.parts import Part

PARTS = {
    "Decay after watching the loss": Part(
        "Schedules",
        "sn.optim.LossWatch, torch.optim.lr_scheduler.ReduceLROnPlateau",
        "a tenth when the training loss has not fallen by 1 % for 3 epochs; schedule=plateau",
        "003",
    ),
}


class LossWatch:
    """Losses of epochs -> `share` of the learning rate that is left, by torch's ReduceLROnPlateau.

    It falls by `factor` once more than `patience` epochs in a row are not `threshold` (a share of
    the best's size) better than the best. Below zero too, where PyTorch's own share takes a loss
    that rests for one that falls. `see` is the verb; `state` and `restore` carry it through a
    checkpoint. Raises UsageError for settings out of their range.

    >>> watch = LossWatch(patience=1)
    >>> [watch.see(loss) for loss in (2.0, 1.0, 1.0, 1.0, 0.5)]
    [1.0, 1.0, 1.0, 0.1, 0.1]
    """

    def __init__(self, factor: float = 0.1, patience: int = 2, threshold: float = 0.01) -> None:
        check_rates(factor=factor, patience=patience, threshold=threshold)
        if not 0 < factor < 1:
            raise UsageError(f"factor={factor} on the learning rate; 0 < factor < 1 is wanted")
        self.threshold = threshold
        self._lr = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._scheduler = ReduceLROnPlateau(
            self._lr, factor=factor, patience=patience, threshold_mode="abs"
        )

    @property
    def share(self) -> float:
        """Of the first learning rate, now."""
        return float(self._lr.param_groups[0]["lr"])

    def see(self, loss: float) -> float:
        """The loss of one more epoch -> the share from now on."""
        best = self._scheduler.best
        self._scheduler.threshold = self.threshold * abs(best) if math.isfinite(best) else 0.0
        self._scheduler.step(loss)
        return self.share

    def state(self) -> dict[str, Any]:
        """All that the coming shares depend on: plain numbers."""
        keys = ("best", "num_bad_epochs", "last_epoch")
        return {"factor": self.share, **{key: getattr(self._scheduler, key) for key in keys}}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        state = dict(state)
        self._lr.param_groups[0]["lr"] = state.pop("factor")
        self._scheduler.__dict__.update(state)
