"""What a behavioural probe is given: a part of a batch, and the loss it may be asked for.

A file of probes/ that asks the network a question declares REPLAYS, name -> function. A function
takes a Replay and the network (in eval mode, without hooks, gradients off; see
Patient.replayed) and gives the values of a probe event, or None where the question does not fit.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..loader import Record, tensors_of
from ..patient import Patient
from ..replay import LossOf, Unfit, select
from ._probe import Eyes

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear)


@dataclass
class Replay:
    """A part of a batch that was trained on."""

    eyes: Eyes
    patient: Patient
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    size: int
    target: Tensor | None
    call: LossOf | None
    record: Record | None
    rows: list[int] | None  # of the data set, in the order of the batch
    last: bool  # the training is over

    def some(self, count: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the first `count` samples."""
        rows = torch.arange(min(count, self.size))
        return select(self.args, rows, self.size), select(self.kwargs, rows, self.size)

    def only_input(self) -> Tensor | None:
        """The input, where it is one tensor of real numbers with a batch axis; else None."""
        given = tensors_of([*self.args, *self.kwargs.values()])
        if len(given) != 1 or not self.args or self.args[0] is not given[0][1]:
            return None
        x_B = given[0][1]
        fits = x_B.is_floating_point() and x_B.dim() > 1 and len(x_B) == self.size
        return x_B if fits else None

    def loss(self, out: Any, count: int) -> Tensor | None:
        """The loss of an output for the first `count` samples; None where it is unknown."""
        if self.call is None or self.target is None:
            return None
        device = next((t.device for _, t in tensors_of(out)), self.target.device)
        try:
            return self.call(out, self.target[:count].to(device))
        except Unfit:
            return None


def only_output(out: Any) -> Tensor | None:
    """An output that is one tensor of real numbers with a batch axis; else None."""
    return out if isinstance(out, Tensor) and out.is_floating_point() and out.dim() else None
