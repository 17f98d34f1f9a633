"""How good a network is on a part of the data: one pass, eval mode, no gradients."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..data.sample import Batch, Prediction, Target
from ..tasks.task import Metric, Task
from .feed import Feed


@dataclass(frozen=True)
class Compute:
    """Where and in which precision a network runs."""

    device: torch.device
    amp: torch.dtype | None = None  # autocast to this, or not at all
    channels_last: bool = False

    def autocast(self) -> Any:
        """The context of a forward pass."""
        if self.amp is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.amp)

    def place(self, net: nn.Module) -> nn.Module:
        """The network on the device, in the memory format."""
        net = net.to(self.device)
        if not self.channels_last:
            return net
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def ready(self, task: Task, batch: Batch) -> Batch:
        """A batch on the device with x normalised, as `infer` and `loss` take it."""
        batch = batch.to(self.device)
        x = task.inputs().prepare(batch.x)
        if self.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return Batch(x, batch.y, batch.index_B, batch.sizes_B2)


@dataclass
class Evaluation:
    """The scores, and what they were computed from."""

    metrics: dict[str, float]
    metric: Metric
    predictions: list[Prediction] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    index: list[int] = field(default_factory=list)


def evaluate(net: nn.Module, task: Task, feed: Feed, compute: Compute) -> Evaluation:
    """Every sample of `feed` once -> scores by the contract's names, and the mean loss."""
    result = Evaluation({}, task.metric())
    loss, seen = 0.0, 0
    with evaluating(net), torch.inference_mode():
        for batch in feed.in_order():
            batch = compute.ready(task, batch)
            with compute.autocast():
                out = task.infer(net, batch)
                loss += _loss(net, task, batch, out) * len(batch)
            seen += len(batch)
            predictions, targets = task.decode(out, batch), task.targets(batch)
            result.metric.update(predictions, targets)
            result.predictions += predictions
            result.targets += targets
            result.index += batch.index_B.tolist()
    result.metrics = {**result.metric.compute(), "loss": loss / max(seen, 1)}
    return result


def _loss(net: nn.Module, task: Task, batch: Batch, out: Any) -> float:
    """The task's loss; where infer is the plain forward pass its output is used again."""
    plain = type(task).infer is Task.infer
    parts = task.loss(_Answer(out) if plain else net, batch)
    return float(sum(part.float() for part in parts.values()))


class _Answer(nn.Module):
    """A network that has already answered."""

    def __init__(self, out: Tensor) -> None:
        super().__init__()
        self.out = out
        self.eval()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """x_BCHW -> the stored output."""
        return self.out


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Eval mode inside, every module's own mode again after."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
