"""Several networks as one, whose answer is the mean of theirs: an ensemble (notes 003)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..data.inputs import Inputs
from .task import Task


class Pooled(nn.Module):
    """x_BCHW as `task` prepares it -> the raw out that `task` decodes to the members' mean.

    Each member gets the picture as its own training standardised it, so those of different folds
    go together. `tasks` are the members' own.

    >>> from snellen.tasks.classify import Classify
    >>> inputs = Inputs(1, 1, 2, (0.5,), (0.25,)).as_dict()
    >>> task = Classify({"classes": ["a", "b"], "inputs": inputs})
    >>> net = Pooled([nn.Flatten(), nn.Flatten()], [task, task], task)
    >>> net(torch.tensor([0.9, 0.1]).log().view(1, 1, 1, 2)).softmax(1)
    tensor([[0.9000, 0.1000]])
    """

    def __init__(self, members: Sequence[nn.Module], tasks: Sequence[Task], task: Task) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.tasks, self.task = tuple(tasks), task
        for i, own in enumerate(tasks):
            self.register_buffer(f"between{i}", _between(task.inputs(), own.inputs()), False)

    def forward(self, x_BCHW: Tensor) -> Any:
        """x_BCHW -> the raw out of the mean."""
        outs = [net(self._fed(x_BCHW, i)) for i, net in enumerate(self.members)]
        return self.task.pool(outs, self.tasks)

    def _fed(self, x_BCHW: Tensor, i: int) -> Tensor:
        between = getattr(self, f"between{i}")
        return x_BCHW if between is None else x_BCHW * between[0] + between[1]


def _between(here: Inputs, there: Inputs) -> Tensor | None:
    """What takes a picture standardised here to one standardised there: times the first, plus the
    second; None where both do the same.

    >>> _between(Inputs(1, 1, 1, (0.5,), (0.5,)), Inputs(1, 1, 1, (0.0,), (0.25,))).flatten()
    tensor([2., 2.])
    """
    if (here.mean, here.std) == (there.mean, there.std):
        return None
    columns = (here.mean, here.std, there.mean, there.std)
    mean, std, mean_there, std_there = (
        torch.tensor(column, dtype=torch.float64).view(-1, 1, 1) for column in columns
    )
    return torch.stack([std / std_there, (mean - mean_there) / std_there]).float()
