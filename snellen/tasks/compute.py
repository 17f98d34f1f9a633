"""Where and in which precision a network runs: the same for training, evaluation, prediction."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ..core.errors import UsageError
from ..data.inputs import Inputs
from ..data.sample import Batch
from ..nn._layout import channels_last
from .task import Task

MOST, PIXELS = 64, 2**20  # of pictures that are judged at once: how many, and of how many pixels
AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where and in which precision a network runs."""

    device: torch.device
    amp: torch.dtype | None = None  # autocast to this, or not at all
    channels_last: bool = False

    @staticmethod
    def of(
        device: str | None, amp: str | None = None, channels_last: bool | None = None
    ) -> "Compute":
        """Settings as a recipe names them -> compute.

        >>> Compute.of("cpu", "bf16").amp
        torch.bfloat16
        """
        return Compute(pick_device(device or "cpu"), AMP[amp or "off"], bool(channels_last))

    def autocast(self) -> Any:
        """The context of a forward pass."""
        if self.amp is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.amp)

    def place(self, net: nn.Module) -> nn.Module:
        """The network on the device, in the memory format."""
        net = net.to(self.device)
        return channels_last(net) if self.channels_last else net

    def ready(self, task: Task, batch: Batch) -> Batch:
        """A batch on the device with x normalised, as `infer` and `loss` take it."""
        batch = batch.to(self.device)
        is_last = self.channels_last and batch.x.ndim == 4
        layout = torch.channels_last if is_last else torch.contiguous_format
        if batch.is_ready:
            return replace(batch, x=batch.x.contiguous(memory_format=layout))
        return replace(batch, x=task.inputs().prepare(batch.x, layout))


def at_once(inputs: Inputs, batch: int = 1) -> int:
    """How many pictures are judged at once: the batch of the training, and of small pictures up to
    MOST as long as they have no more than PIXELS together.

    >>> small, large = (Inputs(3, n, n, (0.5,) * 3, (0.25,) * 3) for n in (32, 640))
    >>> at_once(small, 2), at_once(large, 2), at_once(large, 100)
    (64, 2, 100)
    """
    return max(batch, min(MOST, PIXELS // (inputs.height * inputs.width)))


def pick_device(word: str) -> torch.device:
    """A typed device -> torch.device, or an error that lists those that are here.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        here.append("mps")
    word = {"gpu": "cuda", "0": "cuda:0"}.get(word.lower(), word.lower())
    try:
        device = torch.device(word)
    except RuntimeError:
        device = None
    if device is None or not any(h == word or h.split(":")[0] == word for h in here):
        raise UsageError(f"device={word} is not on this machine; it has {', '.join(here)}")
    return device


def is_here(word: str | None) -> bool:
    """Whether a recorded device is on this machine.

    >>> is_here("cpu")
    True
    """
    try:
        pick_device(word or "cpu")
    except UsageError:
        return False
    return True
