"""One network with the mean of several checkpoints' weights (notes 003; there among ensembles).

Averaged weights lie in one valley only where the checkpoints are of one training, or of trainings
that began from the same weights. Statistics of batch norm are no mean of statistics: they are
computed anew with the averaged weights, as torch.optim.swa_utils.update_bn does.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from .members import Member


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """State dicts of one architecture -> the mean of each tensor; counters are the first's.

    >>> mean_weights([{"w": torch.tensor([1.0])}, {"w": torch.tensor([4.0])}])
    {'w': tensor([2.5000])}
    """
    first = states[0]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point() else value
        for name, value in first.items()
    }  # fmt: skip


def say_unlike(members: Sequence[Member], say: Callable[[str], None]) -> None:
    """Raise UsageError where weights of different networks or data would be averaged; say what is
    to be minded of others.
    """
    first = members[0]
    for other in members[1:]:
        for name, what in (("model", "networks"), ("spec", "training data")):
            if first.meta[name] != other.meta[name]:
                raise UsageError(
                    f"average=weights wants checkpoints of one network and one training part, and "
                    f"{first.name} and {other.name} are of different {what}; "
                    "average=predictions takes them"
                )
    if len({member.run.path.resolve() for member in members}) > 1:
        say("note: these weights are of several trainings; unless they began from the same ones, "
            "their mean answers as an untrained network does")  # fmt: skip
