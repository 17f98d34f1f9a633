"""Logarithms of a softmax or a sigmoid, taken one after the other in a loss written by hand.

Seen in the autograd graph, before anything goes wrong: the smallest value that went into the log,
and what happens to it when the scores are forty times as large.
"""

from typing import Any

import torch
from torch import Tensor

from .. import graph
from ._probe import Feed, Probe

SCALE = 40
PICKS = ("IndexBackward0", "GatherBackward0", "SelectBackward0", "SliceBackward0", "ViewBackward0",
         "SqueezeBackward1", "SqueezeBackward0", "UnsqueezeBackward0", "ReshapeAliasBackward0",
         "TBackward0", "TransposeBackward0", "CloneBackward0", "RsubBackward1")  # fmt: skip
SOURCES = ("SoftmaxBackward0", "SigmoidBackward0")
TURNS = (1, 8, 16)


class Logs(Probe):
    """A probe event where the loss holds such a pair, or is a sum over the batch."""

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Walk the graph at three early steps, and at late ones that are looked at closely."""
        if loss.grad_fn is None or (feed.turn not in TURNS and feed.turn < 20):
            return
        found = unstable(loss)
        if found is not None:
            self.eyes.emit("probe", feed.step, name="logs", values=found)
        size = next((len(a) for a in feed.args if isinstance(a, Tensor) and a.dim()), 0)
        if feed.turn <= TURNS[-1] and is_summed(loss, size):
            self.eyes.emit("probe", feed.step, name="summed", values={"size": size})


def unstable(loss: Tensor) -> dict[str, Any] | None:
    """A loss -> the smallest value whose log it takes, and whether larger scores make it 0.

    >>> z = torch.tensor([[2.0, -3.0]], requires_grad=True)
    >>> unstable(-z.softmax(1).log()[:, 0].mean())["overflows"]
    True
    """
    worst: dict[str, Any] | None = None
    for node in graph.nodes(loss):
        if node.name() != "LogBackward0":
            continue
        source = node.next_functions[0][0]
        for _ in range(6):
            if source is None or source.name() not in PICKS:
                break
            source = source.next_functions[0][0]
        if source is None or source.name() not in SOURCES:
            continue
        try:
            inside, p = node._saved_self.detach(), source._saved_result.detach()
        except RuntimeError:  # changed in place since
            continue
        least = inside.min().item()
        logits = p.float().clamp(min=1e-38)
        logits = logits.log() if source.name()[1] == "o" else torch.logit(logits)
        larger = (SCALE * logits).softmax(-1) if source.name()[1] == "o" else \
            (SCALE * logits).sigmoid()  # fmt: skip
        if worst is None or least < worst["least"]:
            worst = {"least": least, "source": source.name().removesuffix("Backward0").lower(),
                     "overflows": bool((larger == 0).any() or (larger == 1).any())}  # fmt: skip
    return worst


def is_summed(loss: Tensor, size: int) -> bool:
    """Whether the last thing that a loss does is to sum over the batch.

    >>> is_summed(torch.ones(6, 2, requires_grad=True).square().sum(), 6)
    True
    """
    node = loss.grad_fn
    while node is not None and node.name() in ("MulBackward0", "NegBackward0"):
        node = node.next_functions[0][0]
    if node is None or node.name() != "SumBackward0" or size < 2:
        return False
    return size in tuple(getattr(node, "_saved_self_sym_sizes", ()))[:1]


PROBES = {"logs": Logs}
