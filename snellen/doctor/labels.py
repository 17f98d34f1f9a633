"""Labels that no output answers for: which items carry them, and how often each one occurs."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..core.patience import patience
from ..core.seeds import untouched_rng
from .loader import innermost, row_of
from .scan import MOST, SECONDS, Unread, leaves, order
from .scan import ignored as nobody

RARE = 20  # a class has at least a twentieth of the usual number; a slip of the keyboard has not
KINDS = 50  # labels that are told apart in an event
IGNORED = -100  # PyTorch's ignore_index


@dataclass
class Outside:
    """What a look at the labels found; `rows` are those of the data set that was given."""

    rows: dict[int, int] = field(default_factory=dict)  # row -> its label
    counts: Counter[int] = field(default_factory=Counter)  # of all labels that were read
    searched: int = 0

    def facts(self, classes: int) -> dict[str, Any]:
        """What an event holds of it: the outputs, the range, and how many carry which label."""
        beyond = {str(k): n for k, n in self.counts.items() if not 0 <= k < classes}
        return {"classes": classes, "outside": dict(list(beyond.items())[:KINDS]),
                "count": sum(beyond.values()), "target_min": min(self.counts, default=0),
                "target_max": max(self.counts, default=0)}  # fmt: skip


def outside(
    dataset: Any, classes: int, *, ignored: int = IGNORED, first: Iterable[int] = (),
    unread: Unread = nobody,
) -> Outside:  # fmt: skip
    """Data set -> the items with a label below 0 or not below `classes`; those of `first` first,
    however long they take, and others as long as there is time.

    >>> y = torch.tensor([0, 1, 2, 1, 7, -100])
    >>> outside(TensorDataset(torch.zeros(6, 2), y), 3).rows
    {4: 7}
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        return Outside()
    inner = innermost(dataset)
    if type(inner) is TensorDataset:
        y = inner.tensors[1] if len(inner.tensors) > 1 else torch.empty(0)
        rows = torch.tensor([row_of(dataset, i) for i in range(len(dataset))])
        return Outside() if y.is_floating_point() else _all_at_once(y[rows], classes, ignored)
    with untouched_rng():
        first, found, end = list(first), Outside(), time.monotonic() + patience(SECONDS)
        for i in order(len(dataset), first):
            try:
                _take(found, i, _label(dataset[i]), classes, ignored)
            except Exception as error:  # an item that cannot be read is another fault
                unread(error)
            found.searched += 1
            if found.searched >= len(first) and time.monotonic() > end:
                break
        return found


def _all_at_once(y_N: Tensor, classes: int, ignored: int) -> Outside:
    y_ND = y_N.reshape(len(y_N), -1)
    wrong_ND = (y_ND != ignored) & ((y_ND < 0) | (y_ND >= classes))
    rows = wrong_ND.any(1).nonzero()[:, 0].tolist()
    kinds, counts = y_ND[y_ND != ignored].unique(return_counts=True)
    found = {i: int(y_ND[i][wrong_ND[i]][0]) for i in rows[:MOST]}
    return Outside(found, Counter(dict(zip(kinds.tolist(), counts.tolist(), strict=True))),
                   len(y_N))  # fmt: skip


def _take(found: Outside, i: int, y: Tensor | None, classes: int, ignored: int) -> None:
    if y is None or not y.numel():
        return
    kept = y[y != ignored]
    wrong = kept[(kept < 0) | (kept >= classes)]
    found.counts.update(kept.tolist() if y.numel() == 1 else kept.unique().tolist())
    if len(wrong) and len(found.rows) < MOST:
        found.rows[i] = int(wrong[0])


def _label(item: Any) -> Tensor | None:
    """The whole numbers that an item has for a target; None where that is something else."""
    pairs = list(leaves(item))
    leaf = np.asarray(pairs[1][1]) if len(pairs) == 2 else None
    if leaf is None or leaf.dtype.kind not in "biu":
        return None
    return torch.as_tensor(leaf).reshape(-1)


def few(counts: Counter[int], classes: int) -> bool:
    """Whether the labels outside are slips of single items rather than classes or a shift.

    >>> few(Counter({0: 50, 1: 48, 2: 1}), 2), few(Counter({0: 50, 1: 48, 2: 40}), 2)
    (True, False)
    """
    inside = [n for label, n in counts.items() if 0 <= label < classes]
    beyond = [n for label, n in counts.items() if not 0 <= label < classes]
    usual = sorted(inside)[len(inside) // 2] if inside else 0
    return sum(beyond) > 0 and max(beyond) * RARE <= max(usual, RARE) and sum(beyond) <= usual


def likely_classes(counts: Counter[int]) -> int:
    """The labels of a set -> how many classes it is likely to have, slips left out; 0 unknown.

    >>> likely_classes(Counter({0: 50, 1: 48, 2: 51, 7: 1, -1: 1}))
    3
    """
    kinds = sorted(k for k, n in counts.items() if k >= 0)
    while len(kinds) > 2:
        usual = sorted(counts[k] for k in kinds)[len(kinds) // 2]
        if counts[kinds[-1]] * RARE > usual:
            break
        kinds.pop()
    return kinds[-1] + 1 if len(kinds) >= 2 and kinds == list(range(len(kinds))) else 0
