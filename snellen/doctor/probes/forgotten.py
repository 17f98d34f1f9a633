"""Networks of a script that data pass through, that learn nothing, and that were never trained.

A head in a variable of its own that nobody gave to the optimiser. A teacher or a perceptual loss
is neither: it does not continue the trained network, it is in eval mode, or it came trained.
"""

from typing import Any

from torch import Tensor, nn

from .. import graph
from ..patient import Patient, is_lazy
from ._probe import Feed, Probe
from .frozen import is_normal, is_within

TURNS = (2, 5, 12)
LEAST, MOST = 16, 32  # values of a weight that tells; names that are told


class Forgotten(Probe):
    """A probe event at three early steps: the weights, and none where they have moved since."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._turn, self._after = -1, dict[int, Patient]()
        self._versions: dict[str, int] = {}
        self._new: dict[int, bool] = {}

    def forward(self, feed: Feed, full: bool) -> None:
        """Remember the networks of this turn that were fed by a network."""
        if feed.turn != self._turn:
            self._turn, self._after = feed.turn, {}
        patient = feed.patient.whole or feed.patient
        if feed.made and feed.training and patient.adopted:
            self._after[id(patient)] = patient

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Which of them does the loss reach that no optimiser holds?"""
        if feed.turn not in TURNS or loss.grad_fn is None or len(self.eyes.patients) < 2:
            return
        held = {id(p) for s in self.eyes.steppers.values() for p in s.params}
        mine = [{id(p) for p in patient.inner.parameters()} for patient in self.eyes.patients]
        loose = [p for p in self._after.values()
                 if not held & {id(w) for w in p.inner.parameters()}]  # fmt: skip
        if not any(held & own for own in mine) or not (loose or self._versions):
            return
        reached = {id(leaf) for leaf in graph.leaves(loss)}
        every = {p.prefix + name: w for p in loose if self._is_new(p)
                 for name, w in p.inner.named_parameters() if id(w) in reached}  # fmt: skip
        still = [name for name, w in every.items() if self._versions.get(name) == w._version]
        self._versions = {name: w._version for name, w in every.items()}
        self.eyes.emit("probe", feed.step, name="forgotten", values={
            "weights": still[:MOST], "count": len(still), "reached": len(every)})  # fmt: skip

    def _is_new(self, patient: Patient) -> bool:
        if id(patient) not in self._new:
            self._new[id(patient)] = is_new(patient.inner)
        return self._new[id(patient)]


def is_new(net: nn.Module) -> bool:
    """Whether most weights are as PyTorch or an initialisation draws them.

    >>> net = nn.Linear(8, 4); is_new(net), is_new(nn.LayerNorm(8))
    (True, False)
    """
    drawn = [is_within(w, m) or is_normal(w)
             for m in net.modules() for w in m.parameters(recurse=False)
             if not is_lazy(w) and w.dim() > 1 and w.numel() >= LEAST]  # fmt: skip
    return 2 * sum(drawn) > len(drawn)


PROBES = {"forgotten": Forgotten}
