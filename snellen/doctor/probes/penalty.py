"""The part of the loss that knows only the parameters, and its gradient beside the whole one's.

The loss's graph is a sum; a term below which there is no layer and no input is a penalty. Its
gradient is taken from the graph alone, which stays as it is.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from ._probe import Feed, Probe, Stepper

TURNS = frozenset((1, 3, 5, 8, 12, 16))
MOST, TERMS = 500, 400  # nodes of a penalty, and terms that are looked at
SIMPLE = ("AddBackward0", "SumBackward0", "SumBackward1", "MeanBackward0", "PowBackward0",
          "AbsBackward0", "MulBackward0", "DivBackward0", "NormBackward0", "NormBackward1",
          "LinalgVectorNormBackward0", "SquareBackward0", "SqrtBackward0", "ViewBackward0",
          "StackBackward0", "CatBackward0", "UnsqueezeBackward0", "DotBackward0", "NegBackward0",
          "ReshapeAliasBackward0", "SubBackward0", "SelectBackward0", "UnbindBackward0",
          )  # fmt: skip


class Penalty(Probe):
    """A probe event at some early steps of a training whose loss has such a term."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._parts: dict[int, Tensor] | None = None

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Take the penalty's gradient."""
        self._parts = None
        lone = len(self.eyes.steppers) == 1 and feed.turn in TURNS
        if not lone or loss.grad_fn is None or loss.dim():
            return
        params = [p for s in self.eyes.steppers.values() for p in s.params if p.requires_grad]
        if any(p._backward_hooks for p in params):
            return  # the user's own hooks would hear it
        self._parts = penalty_gradients(loss, params)

    def before_update(self, stepper: Stepper) -> None:
        """Set it beside the gradient of the whole loss."""
        parts, self._parts = self._parts, None
        if not parts or stepper.backwards != 1:
            return
        mine, rest = 0.0, 0.0
        for p in stepper.params:
            if p.grad is None or p.grad.is_sparse:
                continue
            part = parts.get(id(p))
            mine += float(part.square().sum()) if part is not None else 0.0
            rest += float((p.grad - part if part is not None else p.grad).square().sum())
        values = {"penalty": mine**0.5, "data": rest**0.5}
        self.eyes.emit("probe", stepper.steps, name="penalty", values=values)


def penalty_gradients(loss: Tensor, params: list[Tensor]) -> dict[int, Tensor] | None:
    """A loss -> id of a parameter and the gradient of the terms that know only parameters.

    >>> w = torch.tensor([3.0], requires_grad=True); x = torch.ones(4, 1)
    >>> loss = torch.exp(x @ w.view(1, 1)).mean() + 0.5 * w.square().sum()
    >>> penalty_gradients(loss, [w])[id(w)]
    tensor([3.])
    """
    known = {id(p) for p in params}
    todo, penalties, seen = [((loss.grad_fn, 0), 1.0)], [], 0
    while todo:
        (node, place), factor = todo.pop()
        seen += 1
        if node is None or seen > TERMS:
            continue
        if _knows_only(node, known):
            penalties.append((GradientEdge(node, place), factor))
        elif node.name() == "AddBackward0":
            first, second = node.next_functions
            todo += [(first, factor), (second, factor * float(getattr(node, "_saved_alpha", 1)))]
        elif node.name() in ("DivBackward0", "MulBackward0") and node.next_functions[1][0] is None:
            other = float(getattr(node, "_saved_other", 1))
            factor = factor * other if node.name()[0] == "M" else factor / other
            todo.append((node.next_functions[0], factor))
    if not penalties or seen == 1:
        return None
    ones = [torch.tensor(factor, device=loss.device, dtype=loss.dtype) for _, factor in penalties]
    grads = torch.autograd.grad([edge for edge, _ in penalties], params, ones,
                                retain_graph=True, allow_unused=True)  # fmt: skip
    return {id(p): g for p, g in zip(params, grads, strict=True) if g is not None}


def _knows_only(node: Any, known: set[int]) -> bool:
    """Whether all below a node is simple arithmetic of known parameters."""
    todo, seen, found = [node], set(), False
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            if id(leaf) not in known:
                return False
            found = True
        elif node.name() not in SIMPLE or len(seen) > MOST:
            return False
        todo += [following for following, _ in node.next_functions]
    return found


PROBES = {"penalty": Penalty}
