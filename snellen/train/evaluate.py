"""How good a network is on a part of the data: one pass, eval mode, no gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..core.modes import evaluating
from ..data.sample import Batch, Prediction, Target
from ..tasks.compute import Compute
from ..tasks.task import Metric, Task
from .feed import Feed


@dataclass
class Evaluation:
    """The scores, and what they were computed from."""

    metrics: dict[str, float]
    metric: Metric
    predictions: list[Prediction] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    index: list[int] = field(default_factory=list)


def evaluate(
    net: nn.Module,
    task: Task,
    feed: Feed,
    compute: Compute,
    *,
    keep: bool = False,
    before: Callable[[Batch], None] | None = None,
) -> Evaluation:
    """Every sample of `feed` once -> scores by the contract's names, and the mean loss.

    `keep` also keeps every prediction and target, without masks; `before` hears of each batch.
    """
    result = Evaluation({}, task.metric())
    loss, seen = 0.0, 0
    with evaluating(net), torch.inference_mode():
        for batch in feed.in_order():
            if before is not None:
                before(batch)
            batch = compute.ready(task, batch)
            with compute.autocast():
                out = task.infer(net, batch)
                loss += _loss(net, task, batch, out) * len(batch)
            seen += len(batch)
            predictions, targets = task.decode(out, batch), batch.targets or []
            result.metric.update(predictions, targets)
            if keep:
                result.predictions += [replace(one, masks_NHW=None) for one in predictions]
                result.targets += [replace(one, masks_NHW=None) for one in targets]
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
