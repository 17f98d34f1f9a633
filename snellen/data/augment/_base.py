"""The interface of an augmentation, and several in a row."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from ..sample import Batch
from ..source import SampleSet


class Augment(ABC):
    """Batch, generator -> batch of the same types and, but where it `resizes`, of the same size.

    Pure but for the generator, which lives on the CPU: the same seed draws the same on every
    device, but for a draw a pixel (noise), which is the device's own. What changes with time goes
    by batch.step, so that a resumed training goes on alike.
    """

    name: str
    about: str  # one line for the catalogue
    resizes: bool = False  # whether pictures come out in another size

    def fit(self, part: SampleSet) -> "Augment":
        """What a training on `part` uses in its place: itself, or what it learnt of it."""
        return self

    @abstractmethod
    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch, each sample changed by draws of its own."""


class Chain(Augment):
    """Several in a row; none at all leaves the batch as it is."""

    about = "several in a row"

    def __init__(self, steps: Sequence[Augment]) -> None:
        self.steps = tuple(steps)
        self.name = "+".join(step.name for step in steps) or "off"
        self.resizes = any(step.resizes for step in steps)

    def fit(self, part: SampleSet) -> "Chain":
        """Each step fitted."""
        return Chain([step.fit(part) for step in self.steps])

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The steps in their order, on pictures that lie channels first: sums are rounded by the
        order of memory, and it is not the same for files and for what is held.
        """
        batch = replace(batch, x=batch.x.contiguous()) if self.steps else batch
        for step in self.steps:
            batch = step(batch, generator)
        return batch


def keep_type(changed: Tensor, old: Tensor) -> Tensor:
    """Floats -> the type of the old images; uint8 is rounded and clipped.

    >>> keep_type(torch.tensor([-3.0, 99.6]), torch.tensor([0, 0], dtype=torch.uint8))
    tensor([  0, 100], dtype=torch.uint8)
    """
    if old.dtype == torch.uint8:
        return changed.round_().clamp_(0, 255).to(torch.uint8)
    return changed.to(old.dtype)


def reach(x_BCHW: Tensor) -> Tensor | float:
    """The range of pixels: 255 for uint8, for floats each sample's own (B, 1, 1, 1).

    A sample's own, so that one NaN image does not spoil its neighbours.
    """
    if x_BCHW.dtype == torch.uint8:
        return 255.0
    return x_BCHW.amax((1, 2, 3), keepdim=True) - x_BCHW.amin((1, 2, 3), keepdim=True)


def beside(value: Tensor, x: Tensor) -> Tensor:
    """A tensor on the device of another; a copy to a GPU is queued, one from it is waited for.

    >>> beside(torch.ones(1), torch.zeros(1)).device.type
    'cpu'
    """
    return value.to(x.device, non_blocking=value.is_cpu)
