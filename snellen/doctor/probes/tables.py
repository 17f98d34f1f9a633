"""A loss written by hand that compares (N, 1) with (N,): a table of every output with every target.

Seen in the autograd graph: between the last mean or sum and a difference or a product lie N x N
values made of N outputs, by whatever function works element by element.
"""

from typing import Any

from torch import Tensor

from .. import graph
from ._measure import first_tensor
from ._probe import Feed, Probe
from .inputs import target_of

TURNS, LEAST, DEEP = (1, 5), 3, 8
REDUCED = ("MeanBackward0", "SumBackward0")
PAIRED = {"SubBackward0": "-", "MulBackward0": "*", "RsubBackward1": "-"}
# What gives N x N of N x N and yet mixes its rows: tables of pairs are meant there.
MIXING = ("MmBackward", "BmmBackward", "Addmm", "Baddbmm", "Linear", "Softmax", "LogSoftmax",
          "Cdist", "EuclideanDist", "Cumsum", "Sort", "Gather", "Index", "LinalgInv")  # fmt: skip


class Tables(Probe):
    """A probe event where there is such a table."""

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Walk the graph at two early steps."""
        x = first_tensor(feed.args, feed.kwargs)
        if feed.turn not in TURNS or loss.grad_fn is None or x is None or not x.dim():
            return
        target = target_of(feed.record, x)
        shape = None if target is None else list(target.shape)
        found = table(loss, len(x), shape)
        if found is not None:
            self.eyes.emit("probe", feed.step, name="table", values=found)


def table(loss: Tensor, size: int, target: list[int] | None = None) -> dict[str, Any] | None:
    """A loss over a batch -> what was compared with what; None where samples keep to themselves.

    >>> import torch; out, y = torch.ones(4, 1, requires_grad=True) * 1, torch.ones(4)
    >>> table((out - y).square().mean(), 4)["input"], table((out[:, 0] - y).abs().mean(), 4)
    ([4, 1], None)
    """
    every = [*graph.nodes(loss)] if size >= LEAST else []
    if any(_is_of_pairs(node, size) for node in every):
        return None
    for node in every:
        if node.name() in REDUCED and [*node._saved_self_sym_sizes] == [size, size]:
            found = _pair(node, size, target)
            if found is not None:
                return found
    return None


def _pair(node: Any, size: int, target: list[int] | None) -> dict[str, Any] | None:
    """The difference or product below a mean that made the table."""
    below = [n for n, _ in node.next_functions if n is not None]
    for _ in range(DEEP):
        following: list[Any] = []
        for part in below:
            sides = [n for n, _ in part.next_functions]
            given = [_shape(side) for side in sides if side is not None]
            lone = len(given) == 1 and _shape(part) == [size, size] != given[0]
            if (
                lone
                and not _is_weighed(part, size)
                and part.name() in PAIRED
                and _is_known(given[0], size, target)
            ):
                wanted = [size] if given[0] == [size, 1] else [size, 1]
                return {"operation": PAIRED[part.name()], "input": given[0], "target": wanted,
                        "known": target == wanted}  # fmt: skip
            if _shape(part) == [size, size] and not part.name().startswith(MIXING):
                following += [side for side in sides if side is not None]
        below = [*dict.fromkeys(following)]
    return None


def _is_weighed(node: Any, size: int) -> bool:
    """A product with a table that was one before: a kernel, a mask of who outlived whom."""
    try:
        other = getattr(node, "_saved_other", None) if node.name() == "MulBackward0" else None
    except RuntimeError:  # freed, or changed in place since
        return False
    return isinstance(other, Tensor) and other.numel() == size * size


def _is_of_pairs(node: Any, size: int) -> bool:
    """Outputs against outputs: an energy distance, a ranking; their tables are meant."""
    sides = [_shape(n) for n, _ in node.next_functions if n is not None]
    return (node.name() in PAIRED and len(sides) == 2 and _shape(node) == [size, size]
            and [size, size] not in sides)  # fmt: skip


def _is_known(given: list[int], size: int, target: list[int] | None) -> bool:
    """(N, 1) beside something of N values; of a row of outputs only where the target is known."""
    return given == [size, 1] or (given == [size] and target == [size, 1])


def _shape(node: Any) -> list[int]:
    """What a node gave, where torch tells."""
    told = getattr(node, "_input_metadata", None)
    if told:
        return [int(side) for side in told[0].shape]
    leaf = getattr(node, "variable", None)
    return list(leaf.shape) if leaf is not None else []


PROBES = {"table": Tables}
