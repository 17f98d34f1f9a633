"""The interface of an augmentation, and several in a row."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Generator

from ..sample import Batch


class Augment(ABC):
    """Batch, generator -> batch of the same shapes and types. Pure but for the generator.

    The generator lives on the CPU: the same seed draws the same on every device.
    """

    name: str
    about: str  # one line for the catalogue

    @abstractmethod
    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch, each sample changed by a draw of its own."""


class Chain(Augment):
    """Several in a row; none at all leaves the batch as it is."""

    about = "several in a row"

    def __init__(self, steps: Sequence[Augment]) -> None:
        self.steps = tuple(steps)
        self.name = "+".join(step.name for step in steps) or "off"

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        for step in self.steps:
            batch = step(batch, generator)
        return batch
