"""A batch that the network has met, with its loss, as something that can be called on copies."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .calls import CLASS_LOSSES
from .exams._case import Live
from .labels import IGNORED
from .loader import tensors_of
from .probes._probe import Feed
from .replay import LossOf, loss_of, select

KNOWN = tuple(getattr(F, name) for name in CLASS_LOSSES)
KNOWN_MODULES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)
WIDEST = 16  # numbers of a target that a small network can be asked to learn by heart


def live_of(feed: Feed, target: Tensor | None, loss_fn: Any, template: Any) -> Live | None:
    """What a forward pass received, its target and its loss -> a case; None where one is unknown.

    The loss is `loss_fn(out, target)`, or the library function that was heard.
    """
    if target is None or not target.dim() or feed.patient.is_partial:
        return None
    if loss_fn is None and template is None:
        return None
    size, args, kwargs = len(target), feed.args, feed.kwargs

    def run(net: nn.Module, rows: Tensor) -> Any:
        chosen = select(args, rows, size), select(kwargs, rows, size)
        given = _as_in(chosen, net)
        return net(*given[0], **given[1])

    def loss(net: nn.Module, rows: Tensor) -> Tensor:
        out = run(net, rows)
        wanted = _as_in(target[rows.to(target.device)], net)
        return _call(loss_fn, template, net)(out, wanted).mean()

    def right(net: nn.Module, rows: Tensor) -> float:
        with torch.no_grad():
            out = next((t for _, t in tensors_of(run(net, rows)) if t.dim()), None)
            wanted = target[rows.to(target.device)]
            if out is None or len(out) != len(wanted):
                return 0.0
            said = out.argmax(1) if out.dim() == 2 and out.shape[1] > 1 else (out > 0).flatten()
            return (said == wanted.flatten()).float().mean().item()

    kind = kind_of(target)
    spread = float(target.detach().float().var(correction=0)) if kind == "value" else 0.0
    live = Live(feed.patient.inner, size, loss, right if kind == "class" else None, kind,
                feed.patient.prefix, spread)  # fmt: skip
    ignored = _indexes(loss_fn, template)
    if kind == "class" and ignored is not None:
        with feed.patient.replayed() as net:
            out = next((t for _, t in tensors_of(run(net, torch.arange(min(2, size))))), None)
        live.classes = out.shape[1] if out is not None and out.dim() == 2 else 0
        live.ignored = ignored
    return live


def _indexes(loss_fn: Any, template: Any) -> int | None:
    """The label that a loss passes over, where it is known to index the outputs by labels."""
    if loss_fn is None:
        ignored = template.more.get("ignore_index", IGNORED)
        return int(ignored) if template.function in CLASS_LOSSES else None
    known = loss_fn in KNOWN or isinstance(loss_fn, KNOWN_MODULES)
    return int(getattr(loss_fn, "ignore_index", IGNORED)) if known else None


def kind_of(target: Tensor) -> str:
    """A batch of targets -> class, value, or other (pictures, sequences).

    >>> kind_of(torch.tensor([1, 0])), kind_of(torch.rand(2, 1)), kind_of(torch.rand(2, 3, 8, 8))
    ('class', 'value', 'other')
    """
    if not target.is_floating_point():
        return "class" if target.dim() == 1 else "other"
    if target[:1].numel() == 1 and bool(((target == 0) | (target == 1)).all()):
        return "class"
    return "value" if target[:1].numel() <= WIDEST else "other"


def _call(loss_fn: Any, template: Any, net: nn.Module) -> LossOf:
    if loss_fn is None:
        template = replace(template, more=_as_in(template.more, net))
    call = loss_of(loss_fn, template)
    assert call is not None
    return call


def _as_in(value: Any, net: nn.Module) -> Any:
    """Nested values with their floats in the precision of a network."""
    dtype = next((p.dtype for p in net.parameters()), torch.float32)
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {k: _as_in(v, net) for k, v in value.items()}
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(_as_in(v, net) for v in value)
    return value
