"""Counts the steps that no torch optimiser takes: `p -= lr * p.grad`, or a class of the user's own.

Nothing announces them. They show at the next forward pass: parameters that have just received
gradients are no longer what they were. Writing through `p.data` leaves no trace in `_version`, so
a few small parameters are compared by value too.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..core.wide import wide
from .patient import Patient, is_lazy
from .probes._probe import Own, Stepper

SENTINELS = 4  # parameters compared by value, from both ends of the network
STRAIGHT = 0.9999  # cosine of update and gradient above which the step was plain descent


@dataclass
class Candidate:
    """A network that has had gradients; it is enrolled when its weights are seen to move."""

    patient: Patient
    stepper: Stepper
    watched: list[Tensor]
    before: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor | None] = field(default_factory=list)
    version: int = 0
    is_known: bool = False  # it has moved: its stepper is one of the engine's


class ByHand:
    """Between a backward pass and the next forward pass: have the weights moved by themselves?"""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self._candidates: dict[int, Candidate] = {}
        self._held: tuple[int, dict[int, bool]] = (0, {})  # of so many steppers: network -> held
        self.waits: list[Candidate] = []
        self._steppers = self._patients = -1  # how many there were when it was asked
        self._idle = False

    def is_idle(self) -> bool:
        """Whether torch's optimisers hold every network: asked at each step, so it is kept."""
        engine = self.engine
        if len(engine.steppers) != self._steppers or len(engine.patients) != self._patients:
            self._steppers, self._patients = len(engine.steppers), len(engine.patients)
            self._idle = all(self._is_held(patient) for patient in engine.patients)
        return self._idle

    def after_backward(self, patient: Patient) -> None:
        """Gradients have come to a network: remember its weights, unless an optimiser has them."""
        if self._is_held(patient):
            return
        candidate = self._candidates.get(id(patient)) or self._new(patient)
        if candidate is None:
            return
        stepper = candidate.stepper
        if not candidate.is_known:
            stepper.backwards += 1
            stepper.loss_sum += self.engine.last_loss
        candidate.before = [p.detach().clone() for p in candidate.watched]
        candidate.gradients = [None if p.grad is None else p.grad.detach().clone()
                               for p in candidate.watched]  # fmt: skip
        candidate.version = sum(p._version for p in stepper.params)
        self.engine.before_own_step(stepper, candidate.is_known)
        if candidate not in self.waits:
            self.waits.append(candidate)

    def look(self) -> None:
        """At a forward pass, and at the end: count the steps of those whose weights have moved."""
        for candidate in [c for c in self.waits if self._has_moved(c)]:
            self.waits.remove(candidate)
            if self._is_held(candidate.patient):
                continue
            candidate.stepper.optimizer.tell(_rate(candidate))
            if not candidate.is_known:
                candidate.is_known = True
                self.engine.admit(candidate.stepper)
            candidate.before, candidate.gradients = [], []
            self.engine.stepped(candidate.stepper)
            candidate.stepper.note_version()

    def _has_moved(self, candidate: Candidate) -> bool:
        if candidate.version != sum(p._version for p in candidate.stepper.params):
            return True
        return any(not torch.equal(p.detach(), kept)
                   for p, kept in zip(candidate.watched, candidate.before, strict=True)
                   if p.shape == kept.shape)  # fmt: skip

    def _is_held(self, patient: Patient) -> bool:
        """Whether a torch optimiser holds a parameter of it."""
        steppers = self.engine.steppers
        if len(steppers) != self._held[0]:
            self._held = len(steppers), {}
        known = self._held[1].get(id(patient))
        if known is None:
            held = {id(p) for s in steppers.values() if not isinstance(s.optimizer, Own)
                    for p in s.params}  # fmt: skip
            known = any(id(p) in held for p in patient.inner.parameters())
            self._held[1][id(patient)] = known
        return known

    def _new(self, patient: Patient) -> Candidate | None:
        named = [(n, p) for n, p in patient.inner.named_parameters()
                 if p.requires_grad and not is_lazy(p)]  # fmt: skip
        if not any(p.grad is not None for _, p in named):
            return None
        params: list[Tensor] = [p for _, p in named]
        unknown = sum(not c.is_known for c in self._candidates.values())
        stepper = Stepper(len(self.engine.steppers) + unknown, Own(params), params)
        stepper.names = [patient.prefix + name for name, _ in named]
        ends = [*params[:SENTINELS], *params[SENTINELS:][-SENTINELS:]]
        watched = sorted(ends, key=lambda p: p.numel())[:SENTINELS]
        stepper.outside = [min(watched, key=lambda p: p.numel())]
        self._candidates[id(patient)] = Candidate(patient, stepper, watched)
        return self._candidates[id(patient)]


def _rate(candidate: Candidate) -> float | None:
    """The learning rate where the step was plain gradient descent, else None."""
    pairs = [(p.detach() - kept, g) for p, kept, g in zip(
        candidate.watched, candidate.before, candidate.gradients, strict=True)
        if g is not None and p.shape == kept.shape]  # fmt: skip
    if not pairs:
        return None
    delta = torch.cat([wide(d.flatten()) for d, _ in pairs])
    grad = torch.cat([wide(g.flatten()) for _, g in pairs])
    product, size = float(delta @ grad), float(grad @ grad)
    straight = product < -STRAIGHT * (size * float(delta @ delta)) ** 0.5  # not where one is NaN
    return float(f"{-product / size:.3g}") if straight else None
