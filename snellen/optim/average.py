"""Exponentially weighted average (notes 001): v = beta v + (1 - beta) x, about the last 1/(1-beta).

It starts at zero and so is too small at first; divided by 1 - beta^t it is exact on constants.
The averages of momentum, RMSProp and Adam are this one.
"""

from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_decays
from ..core.parts import Part

PARTS = {
    "Exponentially weighted average": Part(
        "Optimisers", "sn.optim.ExponentialAverage",
        "v = beta v + (1-beta) x over about 1/(1-beta) values; / (1 - beta^t) corrects its start",
        "001",
    ),
    "Average of the weights (EMA)": Part(
        "Optimisers", "torch.optim.swa_utils.AveragedModel, "
        "torch.optim.swa_utils.get_ema_multi_avg_fn",
        "the same of a network's weights; it starts at the first weights and needs no correction",
        "003",
    ),
}  # fmt: skip


class ExponentialAverage:
    """A running average of tensors or numbers; `add` is the verb.

    Raises UsageError where beta is outside [0, 1).

    >>> average = ExponentialAverage(0.9)
    >>> round(average.add(5.0), 9), round(average.add(5.0), 9), average.window
    (5.0, 5.0, 10.0)
    """

    def __init__(self, beta: float = 0.9, *, correct: bool = True) -> None:
        check_decays(beta=beta)
        self.beta, self.correct = beta, correct
        self.count = 0
        self.sum: Tensor | float = 0.0

    @property
    def window(self) -> float:
        """How many values it is about: 1 / (1 - beta); older ones weigh less than 1/e together."""
        return round(1 / (1 - self.beta), 9)

    def add(self, value: Tensor | float) -> Tensor | float:
        """The next value -> the average so far, without a gradient; bias corrected unless
        `correct` is off. Raises UsageError where its shape is not that of the first.

        >>> import torch
        >>> ExponentialAverage(0.5, correct=False).add(torch.tensor([4.0]))
        tensor([2.])
        """
        shape, first = (tuple(getattr(v, "shape", ())) for v in (value, self.sum))
        if self.count and shape != first:
            raise UsageError(
                f"a value of shape {shape} after others of {first}; one average holds one shape"
            )
        self.count += 1
        if isinstance(value, Tensor):
            value = value.detach()  # the average of losses would keep the graph of every step
        self.sum = self.beta * self.sum + (1 - self.beta) * value
        return self.sum / (1 - self.beta**self.count) if self.correct else self.sum
