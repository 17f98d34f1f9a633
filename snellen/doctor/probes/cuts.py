"""What one network puts out and another takes in, with no graph between the two.

`judge(made.detach())` is right while the judge learns, and a fault where the maker has no other
way to a gradient: it is told only of a network that never got one.
"""

from typing import Any

import torch
from torch import Tensor

from ..hung import Hook, after_forward
from ..patient import Patient
from ..places import users_line
from ._measure import first_tensor
from ._probe import Feed, Probe

SAMPLINGS, MOST = 3, 1 << 22  # rows without a gradient; values of an output that is kept


class Cuts(Probe):
    """At the end an event for each network that was cut off and never got a gradient."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._turn = -1
        self._outs: list[tuple[Patient, Tensor, Any]] = []  # and the line
        self._seen: dict[Patient, dict[str, Any]] = {}
        self._handle: Any = None

    def forward(self, feed: Feed, full: bool) -> None:
        """Compare what goes in with what came out of others; wait for what comes out."""
        if feed.turn != self._turn:
            self._turn = feed.turn
            self._outs.clear()
        if len(self.eyes.patients) > 1 and not feed.patient.compiled:
            self._compare(feed)
            self._await(feed.patient)

    def evaluation(self, feed: Feed) -> None:
        """What a network puts out without gradients may be trained on too."""
        if len(self.eyes.patients) > 1 and not feed.patient.compiled:
            self._await(feed.patient)

    def close(self) -> None:
        """Say which of the networks that were cut off have learnt nothing."""
        self._let_go()
        for patient, values in self._seen.items():
            if names := self._silent(patient):
                event = {**values, "parameters": names[:64], "count": len(names)}
                self.eyes.emit("probe", self.eyes.step, name="cuts", values=event)
        self._outs.clear()
        self._seen.clear()

    def _compare(self, feed: Feed) -> None:
        x = first_tensor(feed.args, feed.kwargs)
        if x is None or feed.made or not x.is_floating_point():
            return
        for patient, out, line in self._outs:
            if patient is not feed.patient and _is_same(out, x):
                first = {"network": patient.prefix.rstrip("."), "passes": 0, "line": line,
                         "kind": type(patient.inner).__name__,
                         "into": type(feed.patient.inner).__name__}  # fmt: skip
                self._seen.setdefault(patient, first)["passes"] += 1
                return

    def _await(self, patient: Patient) -> None:
        """Keep the output of the forward pass that begins."""
        self._let_go()
        line = users_line()

        def come(module: Any, args: Any, out: Any) -> None:
            self._let_go()
            if isinstance(out, Tensor) and out.is_floating_point() and 0 < out.numel() <= MOST:
                self._outs = [*self._outs[-3:], (patient, out.detach(), line)]

        self._handle = after_forward(patient.net, Hook(come))

    def _let_go(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _silent(self, patient: Patient) -> list[str]:
        """The weights of a network, where an optimiser holds them and none ever got a gradient."""
        traces = self.eyes.chart.params
        learnt = [(name, [row for row in traces[name].rows if "grad_none" in row])
                  for name in patient.parameter_names().values() if name in traces]  # fmt: skip
        silent = [len(rows) >= SAMPLINGS
                  and all(row["grad_none"] or row.get("grad_norm") == 0 for row in rows)
                  for _, rows in learnt]  # fmt: skip
        return [name for name, _ in learnt] if silent and all(silent) else []


def _is_same(out: Tensor, x: Tensor) -> bool:
    if out.numel() != x.numel() or out.device != x.device:
        return False
    return out.data_ptr() == x.data_ptr() or torch.equal(out.flatten(), x.flatten().to(out.dtype))


PROBES = {"cuts": Cuts}
