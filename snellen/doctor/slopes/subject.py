"""What is checked: numbers that come out, the same from call to call, and tensors to be moved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Leaf:
    """A tensor that is moved; `kind` is parameter or input."""

    name: str
    tensor: Tensor
    kind: str = "parameter"
    fixed: int | None = None  # a row that by agreement is not learnt: an embedding's padding


@dataclass
class Subject:
    """`run()` -> out_N; the function whose slopes are compared is weights_N · out_N."""

    run: Callable[[], Tensor]
    leaves: list[Leaf]
    weights_N: Tensor = field(default_factory=lambda: torch.ones(1, dtype=torch.float64))
    term: str = "loss"

    def value(self) -> Tensor:
        """The scalar, with its graph."""
        out_N = self.run()
        return (out_N * self.weights_N.to(out_N)).sum()


@dataclass
class Backward:
    """What autograd says: a gradient a leaf (None where none arrives), and who took part.

    `used` is when the forward pass last used a leaf; `own` are the user's autograd functions, with
    the time of their call.
    """

    grads: Sequence[Tensor | None]
    used: list[int]
    own: list[tuple[int, str]]


def backward(subject: Subject) -> Backward:
    """One backward pass; nothing is added to any `.grad`."""
    value = subject.value()
    tensors = [leaf.tensor for leaf in subject.leaves]
    if not value.requires_grad:
        return Backward([None] * len(tensors), [0] * len(tensors), [])
    used, own = _graph(value)
    grads = torch.autograd.grad(value, tensors, allow_unused=True)
    dense = [g.to_dense() if g is not None and g.is_sparse else g for g in grads]
    return Backward(dense, [used.get(id(t), -1) for t in tensors], own)


def _graph(value: Tensor) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """The graph of a scalar -> id of a leaf: the number of the call that last used it."""
    used: dict[int, int] = {}
    own: dict[tuple[int, str], None] = {}
    todo, seen = [value.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            own[node._sequence_nr(), type(node).__name__.removesuffix("Backward")] = None
        for following, _ in node.next_functions:
            leaf = getattr(following, "variable", None)
            if leaf is not None:
                used[id(leaf)] = max(used.get(id(leaf), -1), node._sequence_nr())
            elif following is not None:
                todo.append(following)
    return used, sorted(own)
