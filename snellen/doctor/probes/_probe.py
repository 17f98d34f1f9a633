"""What a probe is: it is called at the moments of a sampled step, and emits what it measured.

A file of probes/ declares PROBES, name -> class. Probes are called on sampled steps only; what is
looked at on every step is in ../engine.py and in losses.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..apart import Notes
from ..chart import Chart
from ..loader import Record
from ..patient import Patient

Emit = Callable[..., None]  # emit(kind, step, **fields of the kind)


@dataclass(slots=True)
class Feed:
    """What one forward pass received, with grad enabled."""

    patient: Patient
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    record: Record | None
    step: int
    turn: int
    training: bool
    made: bool = False  # by another part of the network: it is no sample itself


@dataclass(slots=True)
class Stepper:
    """One optimiser under watch, and what happened since its last step."""

    index: int
    optimizer: Any
    params: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    outside: list[Any] = field(default_factory=list)  # of the first, sentinels of its gradients
    steps: int = 0
    backwards: int = 0
    inside: int = 0  # backward passes when `step` was entered: LBFGS makes more in there
    loss_sum: float = 0.0
    carried: bool = True  # until a backward pass finds the gradients zero
    entered: bool = False
    version: int = 0  # of `outside`, after the last step
    norm: float | None = None  # of all gradients, where it was taken at this step
    kept: list[Any] | None = None  # gradients of a step by hand: it may have cleared its own

    def note_version(self) -> None:
        """After a step: where its weights stand, to see later whether they were drawn anew."""
        with torch._C.DisableTorchFunction():
            self.version = sum([p._version for p in self.outside])

    def gradients(self) -> list[Any]:
        """Those that the step used."""
        return [p.grad for p in self.params] if self.kept is None else self.kept


class Own:
    """Stands where a torch optimiser would: parameters, and the learning rate where it shows."""

    def __init__(self, params: list[Tensor]) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": params}]
        self._is_descent = True

    def tell(self, lr: float | None) -> None:
        """The rate of the last step; None where it was no plain descent, and then for ever."""
        self._is_descent = self._is_descent and lr is not None
        self.param_groups[0].pop("lr", None)
        if self._is_descent:
            self.param_groups[0]["lr"] = lr


class Eyes(Protocol):
    """The part of the engine that a probe sees."""

    chart: Chart
    patients: list[Patient]
    steppers: dict[int, Stepper]
    step: int
    emit: Emit
    fail: Callable[[Any, BaseException], None]
    off: bool  # looking away
    notes: Notes
    loss_fn: Any  # loss_fn(net(x), y), where the user gave it
    template: Any  # the last loss call, to be repeated in a replay


class Probe:
    """Every moment is optional. Nothing of what is handed over may be changed or kept."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes = eyes

    def forward(self, feed: Feed, full: bool) -> None:
        """Before a forward pass; `full` where hooks may be set."""

    def evaluation(self, feed: Feed) -> None:
        """Before a forward pass without grad."""

    def called(self, name: str, args: Any, kwargs: Any, result: Any, error: Any) -> None:
        """A loss function or a functional activation was called; see ../calls.py."""

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Before a backward pass."""

    def rose(self, feed: Feed, loss: Tensor) -> None:
        """Before a backward pass of any step, sampled or not, whose loss leapt up."""

    def before_update(self, stepper: Stepper) -> None:
        """Before an optimiser's step."""

    def after_update(self, stepper: Stepper, step: int) -> None:
        """After it; `step` is the number of steps completed before this one."""

    def close(self) -> None:
        """Take hooks away; called at the end, and when a probe has failed."""
