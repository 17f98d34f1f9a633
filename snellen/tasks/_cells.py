"""Cells of a table that a network fills: what of them is known, and said beside true by column."""

from collections.abc import Callable

import torch
from torch import Tensor


def known(
    given: Tensor | None, count: int, means: Callable[[Tensor], Tensor] = torch.isfinite
) -> Tensor:
    """cells_K as given -> cells_K, NaN where they mean nothing or were not given.

    >>> known(torch.tensor([1.0, float("inf"), 7.0]), 3)
    tensor([1., nan, 7.])
    """
    if given is None or len(given) != count:
        return torch.full((count,), torch.nan)
    given = given.float()
    return torch.where(means(given), given, torch.nan)


class Columns:
    """Rows of said and true cells as they come, and the columns of what is known.

    >>> table = Columns()
    >>> table.add(torch.tensor([0.9, 0.2]), torch.tensor([1.0, torch.nan]))
    >>> table.of(0), table.of(1)
    ((tensor([0.9000]), tensor([1.])), None)
    """

    def __init__(self) -> None:
        self.said: list[Tensor] = []
        self.true: list[Tensor] = []

    @property
    def has_truths(self) -> bool:
        """Whether any cell is known."""
        return any(not row.isnan().all() for row in self.true)

    def add(self, said_K: Tensor, true_K: Tensor) -> None:
        """One row."""
        self.said.append(said_K)
        self.true.append(true_K)

    def of(self, k: int) -> tuple[Tensor, Tensor] | None:
        """(said_N, true_N) of a column where the truth is known; None where it nowhere is."""
        if not self.true:
            return None
        true_N = torch.stack(self.true)[:, k]
        seen_N = ~true_N.isnan()
        if not seen_N.any():
            return None
        return torch.stack(self.said)[:, k][seen_N], true_N[seen_N]
