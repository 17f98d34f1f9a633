"""Tensors that the loss sends gradients to and that no module or no optimiser knows.

Seen in the autograd graph: layers in a plain list, a layer made anew in each forward pass, a
parameter of the loss that nobody gave to the optimiser.
"""

import weakref
from typing import Any

from torch import Tensor, nn

from .. import graph
from ..patient import HOMES, everywhere
from ._measure import first_tensor
from ._probe import Feed, Probe
from .frozen import is_normal, is_within

TURNS = (2, 5, 12)
MOST, LEAST = 32, 16  # tensors that are told; values of a weight that tells


class Strays(Probe):
    """A probe event at three early steps, where there is one."""

    def __init__(self, eyes: Any) -> None:
        super().__init__(eyes)
        self._known: dict[int, tuple[Any, int]] = {}  # of last time: weak reference, version

    def backward(self, feed: Feed, loss: Tensor) -> None:
        """Compare the graph's leaves with what modules and optimisers hold."""
        if feed.turn not in TURNS or loss.grad_fn is None:
            return
        found = graph.leaves(loss)
        held = {id(p) for s in self.eyes.steppers.values() for p in s.params}
        own = [{id(p) for p in patient.inner.parameters()} for patient in self.eyes.patients
               if not patient.adopted or patient in (feed.patient, feed.patient.whole)]  # fmt: skip
        mine = set().union(*own)
        x = first_tensor(feed.args, feed.kwargs)
        lost = [t for t in found if id(t) not in mine | held
                and (x is None or t.data_ptr() != x.data_ptr())]  # fmt: skip
        # Upstream of the network: a picture that is optimised, a code for a generator.
        starts = [t for t in found if id(t) in held - mine and (feed.made or x is None
                  or x.data_ptr() == t.data_ptr())]  # fmt: skip
        anew = bool(self._known) and all(ref() is None for ref, _ in self._known.values())
        still = [t for t in lost if id(t) in self._known and self._known[id(t)][0]() is t
                 and self._known[id(t)][1] == t._version]  # fmt: skip
        owners = owners_of(feed.patient.inner) if lost else {}
        ids = {id(t) for t in lost}
        named = [name for i, name in owners.items() if i in ids]
        values = {
            "hidden": [feed.patient.prefix + name for name in named][:MOST], "lost": len(lost),
            "numel": sum(t.numel() for t in lost), "anew": anew and len(still) == 0,
            "together": any(id(t) in mine for t in found), "unmoved": len(still),
            "parameters": sum(isinstance(t, nn.Parameter) for t in lost),
            "adopted": feed.patient.adopted, "starts": len(starts),
            "trunk": _trunk(loss, mine, still),
        }  # fmt: skip
        self._known = {id(t): (weakref.ref(t), t._version) for t in lost[:MOST]}
        if lost or starts:
            self.eyes.emit("probe", feed.step, name="strays", values=values)


def _trunk(loss: Tensor, mine: set[int], still: list[Tensor]) -> list[list[int]]:
    """The shapes of unmoved weights, new ones, through which the data came to the network."""
    if not still or not mine:
        return []
    ids = {id(t) for t in still if isinstance(t, nn.Parameter)}
    before = [t for t in graph.upstream(loss, mine) if id(t) in ids]
    weights = [t for t in before if t.dim() > 1 and t.numel() >= LEAST]
    drawn = sum(is_within(w) or is_normal(w) for w in weights)
    return [list(t.shape) for t in before] if 2 * drawn >= max(1, len(weights)) else []


def owners_of(net: nn.Module) -> dict[int, str]:
    """id of a tensor that an attribute hides from `parameters()` -> where it lies.

    >>> net = nn.Module(); net.layers = [nn.Linear(2, 2)]
    >>> sorted(owners_of(net).values())
    ['layers[0].bias', 'layers[0].weight']
    """
    names = {id(m): name for name, m in net.named_modules()}
    found: dict[int, str] = {}
    for module in everywhere(net):
        place = names.get(id(module), "")
        for key, value in module.__dict__.items():
            if key not in HOMES and not key.startswith("_flat_weight"):
                _name(found, f"{place}.{key}".lstrip("."), value)
    own = {id(p) for p in net.parameters()}
    return {i: name for i, name in found.items() if i not in own}


def _name(found: dict[int, str], place: str, value: Any) -> None:
    if isinstance(value, Tensor):
        found.setdefault(id(value), place)
    elif isinstance(value, nn.Module):
        found.update({id(p): f"{place}.{n}" for n, p in value.named_parameters()})
    elif isinstance(value, list | tuple | dict):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            if isinstance(item, Tensor | nn.Module):
                _name(found, f"{place}[{key!r}]", item)


PROBES = {"strays": Strays}
