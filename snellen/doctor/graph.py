"""Reads the autograd graph of a bad loss before its backward pass: it still holds the values.

That is how a loss written by hand is understood without calling it: a node's saved tensors say
which rows went wrong, and in which operation.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
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
RECEIVED, INPUT = ("_saved_self", "_saved_other"), "'s input"


def guilty_rows(loss: Tensor, batch_size: int) -> tuple[list[int], str]:
    """A loss with its graph -> the rows of the batch whose values went wrong, and the operation.

    Of all such nodes the one nearest to the inputs decides. Where it received what was not finite,
    and nothing in the graph made that, it is "pow's input". ([], "") where no node tells.

    >>> p = torch.tensor([[0.5], [0.0]], requires_grad=True)
    >>> guilty_rows((-torch.log(p * 1)).mean(), 2)
    ([1], 'log')
    >>> guilty_rows(((p - torch.tensor([[1.0], [0.0]]).log()) ** 2).mean(), 2)
    ([1], "pow's input")
    """
    best: tuple[list[int], str] = ([], "")
    for node in nodes(loss):
        rows = _rows(node, batch_size)
        if rows and len(rows) < max(2, batch_size):
            best = rows, operation(node) if node.name() in SICK else _origin(node)
    return best


def _origin(node: Any) -> str:
    """What made the values that a node received: the node before, where its own were finite."""
    side = next((i for i, t in enumerate(_received(node)) if _is_bad(t)), 0)
    before = node.next_functions[side][0] if side < len(node.next_functions) else None
    while before is not None and before.name() in VIEWS:
        before = before.next_functions[0][0]
    given = _received(before) if before is not None else []
    known = bool(given) and all(isinstance(t, Tensor) and not _is_bad(t) for t in given)
    return operation(before) if known else operation(node) + INPUT


def _received(node: Any) -> list[Any]:
    """What a node saved of its arguments, None where it did not need one."""
    try:
        return [getattr(node, name) for name in RECEIVED if hasattr(node, name)]
    except RuntimeError:  # freed, or changed in place since
        return []


def _is_bad(t: Any) -> bool:
    return isinstance(t, Tensor) and not bool(torch.isfinite(t).all())


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


def saved_target(loss: Tensor, batch_size: int, most: int = MOST) -> Tensor | None:
    """The target that a built-in loss saved, where its first axis is the batch."""
    for node in islice(nodes(loss), most):
        try:
            target = getattr(node, "_saved_target", None)
            if target is not None and target.requires_grad:  # loss(y, net(x))
                target = getattr(node, "_saved_self", None)
        except RuntimeError:  # freed, or changed in place since
            continue
        if isinstance(target, Tensor) and target.dim() and len(target) == batch_size:
            return target.detach()
    return None


# No product: a return that weighs the log of an action's probability may push it away by right.
SCALED = ("MeanBackward0", "SumBackward0", "SumBackward1", "NegBackward0", "DivBackward0",
          "AddBackward0", "SqueezeBackward0", "SqueezeBackward1", "LogBackward0",
          "ViewBackward0", "ReshapeAliasBackward0")  # fmt: skip
SCORES = ("LogSoftmaxBackward0", "SoftmaxBackward0")


def picked_target(loss: Tensor, batch_size: int) -> Tensor | None:
    """The classes that a loss written by hand picks out of its softmax; None where it weighs them.

    >>> z = torch.zeros(2, 3, requires_grad=True)
    >>> picked_target(z.log_softmax(1).gather(1, torch.tensor([[2], [0]])).mean(), 2)
    tensor([2, 0])
    """
    todo = deque([loss.grad_fn])
    for _ in range(MOST // 100):
        node = todo.popleft() if todo else None
        if node is None:
            continue
        below = [n for n, _ in node.next_functions if n is not None]
        try:
            if any(n.name() in SCORES for n in below):
                return _classes(node, batch_size)
            factor = getattr(node, "_saved_other", None)
        except RuntimeError:  # changed in place since
            return None
        if node.name() in SCALED and (factor is None or factor.numel() == 1):
            todo.extend(below)
    return None


def _classes(node: Any, batch_size: int) -> Tensor | None:
    """What a node chose out of a softmax: one index for each sample."""
    if node.name() == "GatherBackward0":
        index = node._saved_index.flatten()
    elif node.name() == "IndexBackward0" and len(node._saved_indices) == 2:
        rows, index = node._saved_indices
        if rows is None or index is None or not torch.equal(rows.flatten().cpu(),
                                                            torch.arange(batch_size)):  # fmt: skip
            return None
    elif node.name() == "MulBackward0" and isinstance(node._saved_other, Tensor):
        chosen = node._saved_other.detach()
        is_one = chosen.dim() == 2 and bool(((chosen == 0) | (chosen == 1)).all())
        index = chosen.argmax(1) if is_one and bool((chosen.sum(1) == 1).all()) else None
    else:
        return None
    fits = index is not None and not index.is_floating_point() and index.numel() == batch_size
    return index.detach().flatten() if fits else None


def _rows(node: Any, batch_size: int) -> list[int]:
    known = SICK.get(node.name())
    pairs = [known] if known else [(name, lambda t: ~torch.isfinite(t)) for name in RECEIVED]
    for name, test in pairs:
        try:
            rows = _where(test, getattr(node, name, None), batch_size)
        except RuntimeError:  # freed, or changed in place since
            continue
        if rows:
            return rows
    return []


def _where(test: Any, value: Any, batch_size: int) -> list[int]:
    """The rows of a saved tensor, where its first axis is the batch, that a test finds."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or not value.dim():
        return []
    if len(value) != batch_size:
        return []
    return test(value.detach()).flatten(1).any(1).nonzero().flatten().tolist() \
        if value.dim() > 1 else test(value.detach()).nonzero().flatten().tolist()  # fmt: skip


def leaves(loss: Tensor) -> list[Tensor]:
    """The tensors that a loss sends gradients to, each once, nearest to the loss first.

    >>> w = torch.ones(2, requires_grad=True); [t is w for t in leaves((w * w).sum())]
    [True]
    """
    found = {id(t): t for node in nodes(loss) if (t := getattr(node, "variable", None)) is not None}
    return list(found.values())


def upstream(loss: Tensor, own: set[int]) -> list[Tensor]:
    """The leaves whose values reach a loss through an operation on a tensor with an id in `own`.

    >>> trunk, head, seen = (torch.ones(2, 2, requires_grad=True) for _ in range(3))
    >>> loss = ((torch.ones(1, 2) @ trunk) @ head @ seen).sum()
    >>> [t is trunk for t in upstream(loss, {id(head)})]
    [True]
    """
    todo = deque(n for n in nodes(loss) if any(_holds(below, own) for below, _ in n.next_functions))
    seen, found = set[Any](), dict[int, Tensor]()
    while todo:
        node = todo.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in own:
            found[id(leaf)] = leaf
        todo.extend(following for following, _ in node.next_functions)
    return list(found.values())


def _holds(node: Any, own: set[int]) -> bool:
    """Whether a node is one of these leaves, or a view of it."""
    for _ in range(4):
        if node is None or node.name() not in VIEWS:
            break
        node = node.next_functions[0][0]
    return id(getattr(node, "variable", None)) in own


def layers_in_series(out: Tensor) -> tuple[int, int]:
    """An output -> the most weights that data passes one after the other, and their least width.

    >>> w = torch.ones(3, 3, requires_grad=True); x = torch.ones(2, 3)
    >>> layers_in_series((x @ w) @ w), layers_in_series(x @ w + x @ w)
    ((2, 3), (1, 3))
    """
    depth: dict[Any, int] = {}
    narrow = 1 << 30
    for node in reversed(_in_order(out)):
        below = max((depth.get(n, 0) for n, _ in node.next_functions if n is not None), default=0)
        weight = _weight(node) if node.name() in LINEAR else None
        if weight is not None and weight.dim() == 2:
            narrow = min(narrow, *weight.shape)
        depth[node] = below + (weight is not None)
    return (max(depth.values(), default=0), narrow)


LINEAR = ("AddmmBackward0", "MmBackward0", "LinearBackward0", "ConvolutionBackward0", "MvBackward0",
          "BmmBackward0", "AddmvBackward0", "MkldnnConvolutionBackward0")  # fmt: skip


def _weight(node: Any) -> Tensor | None:
    """The parameter that a linear node multiplies by, looked for through views of it."""
    for following, _ in node.next_functions:
        for _ in range(4):
            if following is None:
                break
            leaf = getattr(following, "variable", None)
            if leaf is not None:
                if leaf.dim() > 1:
                    return leaf
                break
            if following.name() not in VIEWS:
                break
            following = following.next_functions[0][0]
    return None


VIEWS = ("TBackward0", "TransposeBackward0", "ViewBackward0", "UnsafeViewBackward0",
         "ExpandBackward0", "PermuteBackward0", "ReshapeAliasBackward0", "CloneBackward0",
         "ToCopyBackward0", "UnsqueezeBackward0")  # fmt: skip


def _in_order(out: Tensor) -> list[Any]:
    """The nodes of a graph so that each comes before those it calls."""
    order: list[Any] = []
    state: dict[Any, bool] = {}
    todo: list[tuple[Any, bool]] = [(out.grad_fn, False)]
    while todo and len(state) < MOST:
        node, done = todo.pop()
        if node is None or (not done and node in state):
            continue
        if done:
            order.append(node)
            continue
        state[node] = True
        todo.append((node, True))
        todo += [(following, False) for following, _ in node.next_functions]
    return order[::-1]
