"""Reads the autograd graph of a bad loss before its backward pass: it still holds the values.

That is how a loss written by hand is understood without calling it: a node's saved tensors say
which rows went wrong, and in which operation.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

MOST = 3000  # nodes
SICK = {  # node -> what it saved, and where that makes the result or its gradient non-finite
    "LogBackward0": ("_saved_self", lambda t: t <= 0),
    "Log2Backward0": ("_saved_self", lambda t: t <= 0),
    "Log10Backward0": ("_saved_self", lambda t: t <= 0),
    "Log1PBackward0": ("_saved_self", lambda t: t <= -1),
    "SqrtBackward0": ("_saved_result", lambda t: ~(t > 0)),
    "RsqrtBackward0": ("_saved_result", lambda t: ~torch.isfinite(t)),
    "ReciprocalBackward0": ("_saved_result", lambda t: ~torch.isfinite(t)),
    "DivBackward0": ("_saved_other", lambda t: t == 0),
    "ExpBackward0": ("_saved_result", lambda t: ~torch.isfinite(t)),
    "AcosBackward0": ("_saved_self", lambda t: t.abs() >= 1),
    "AsinBackward0": ("_saved_self", lambda t: t.abs() >= 1),
}


def guilty_rows(loss: Tensor, batch_size: int) -> tuple[list[int], str]:
    """A loss with its graph -> the rows of the batch whose values went wrong, and the operation.

    Of all such nodes the one nearest to the inputs decides. ([], "") where no node tells.

    >>> p = torch.tensor([[0.5], [0.0]], requires_grad=True)
    >>> guilty_rows((-torch.log(p * 1)).mean(), 2)
    ([1], 'log')
    """
    best: tuple[list[int], str] = ([], "")
    for node in nodes(loss):
        rows = _rows(node, batch_size)
        if rows and len(rows) < max(2, batch_size):
            best = rows, operation(node)
    return best


def operation(node: Any) -> str:
    """A node -> the word for what it did.

    >>> operation(torch.ones(1, requires_grad=True).log().grad_fn)
    'log'
    """
    return node.name().removesuffix("0").removesuffix("Backward").lower()


def nodes(loss: Tensor) -> Iterator[Any]:
    """The nodes of a graph, breadth first from the loss, at most MOST."""
    seen: set[Any] = set()
    todo = deque([loss.grad_fn])
    while todo and len(seen) < MOST:
        node = todo.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        todo.extend(following for following, _ in node.next_functions)


def saved_target(loss: Tensor, batch_size: int) -> Tensor | None:
    """The target that a built-in loss saved, where its first axis is the batch."""
    for node in nodes(loss):
        try:
            target = getattr(node, "_saved_target", None)
        except RuntimeError:  # freed, or changed in place since
            continue
        if isinstance(target, Tensor) and target.dim() and len(target) == batch_size:
            return target.detach()
    return None


def _rows(node: Any, batch_size: int) -> list[int]:
    name, test = SICK.get(node.name(), ("_saved_self", lambda t: ~torch.isfinite(t)))
    try:
        value = getattr(node, name, None)
    except RuntimeError:
        return []
    if not isinstance(value, Tensor) or not value.is_floating_point() or not value.dim():
        return []
    if len(value) != batch_size:
        return []
    return test(value.detach()).flatten(1).any(1).nonzero().flatten().tolist() \
        if value.dim() > 1 else test(value.detach()).nonzero().flatten().tolist()  # fmt: skip
