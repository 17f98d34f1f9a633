"""Which way the loss pushes the outputs: towards the targets, or away from them?

The gradient at the network's own output, sample by sample: minimising must raise the right class's
score, and move a value towards its target.
"""

from typing import Any

import torch
from torch import Tensor

from .. import graph
from ..hung import Hook, after_forward
from ._measure import first_tensor
from ._probe import Feed, Probe
from .inputs import target_of

LEAST = 4  # samples


class Direction(Probe):
    """A probe event at each step whose layers are measured."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._handle: Any = None
        self._out: Any = None

    def forward(self, feed: Feed, full: bool) -> None:
        """Catch the output of this forward pass."""
        self.close()
        if full:
            self._handle = after_forward(feed.patient.inner, Hook(self._caught))

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Ask the output for its gradient."""
        out = self._out
        self.close()
        x = first_tensor(feed.args, feed.kwargs)
        target = target_of(feed.record, x) if x is not None else None
        if target is None and x is not None and x.dim():  # rows that the script indexes itself
            target = graph.saved_target(loss, len(x))
            target = graph.picked_target(loss, len(x)) if target is None else target
        if not isinstance(out, Tensor) or not out.requires_grad or target is None:
            return
        facing = as_values(out.detach(), target)
        if facing is None:
            return
        step, held = feed.step, out.detach()
        out.register_hook(lambda grad: self._measure(step, grad, held, facing))

    def close(self) -> None:
        """Take the hook away."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._out = None

    def _caught(self, module: Any, args: Any, out: Any) -> None:
        self._out = out

    def _measure(self, step: int, grad: Tensor, out: Tensor, facing: tuple[Tensor, bool]) -> None:
        try:
            self.eyes.emit("probe", step, name="direction", values=pushed(grad, out, *facing))
        except Exception as error:
            self.eyes.fail(self, error)


def as_values(out: Tensor, target: Tensor) -> tuple[Tensor, bool] | None:
    """The target in the output's form, and whether it is a class; None where they do not fit."""
    target = target.to(out.device)
    if len(out) < LEAST or len(target) != len(out):
        return None
    if not target.is_floating_point() and out.dim() == 2 and target.dim() == 1:
        low, high = torch.aminmax(target)
        return (target, True) if low >= 0 and high < out.shape[1] and out.shape[1] > 1 else None
    if target.is_floating_point() and target.numel() == out.numel():
        return target.reshape(out.shape), False
    return None


def pushed(grad: Tensor, out: Tensor, target: Tensor, is_class: bool) -> dict[str, Any]:
    """-> the share of samples that are pushed away from their targets, and how many are right.

    >>> pushed(torch.eye(4), torch.zeros(4, 4), torch.arange(4), True)["away"]
    1.0
    """
    if is_class:
        mine = grad.gather(1, target[:, None])
        away, counted = (mine > 0).float(), mine != 0
        right = (out.argmax(1) == target).float().mean().item()
        chance = 1 / out.shape[1]
    else:
        binary = bool(((target == 0) | (target == 1)).all())
        towards = grad * ((0.5 if binary else out) - target)
        away, counted = (towards < 0).float(), towards != 0
        right, chance = 0.0, 0.0
    share = away.sum() / counted.sum().clamp(min=1)
    return {"away": share.item(), "counted": int(counted.sum()), "right": right, "chance": chance,
            "is_class": is_class}  # fmt: skip


PROBES = {"direction": Direction}
