"""Parameters that move the loss and never get a gradient: somewhere the graph was cut.

Those without a gradient so far are all moved a little at once; where that changes the result, the
last in the order of the forward pass are moved singly, to name them.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..loader import tensors_of
from ._replay import Replay

MOVE, SINGLY, SAMPLINGS = 0.05, 12, 3


def effects(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network -> the parameters without gradients, and which of them change the result."""
    silent = _silent(replay)
    if not silent:
        return None
    args, kwargs = replay.some(16)
    draw = torch.Generator().manual_seed(0)
    moved = {name: p + MOVE * p.square().mean().sqrt().clamp(min=1e-3)
             * torch.randn(p.shape, generator=draw).to(p)
             for name, p in silent.items()}  # fmt: skip

    def result(changed: dict[str, Tensor]) -> list[Tensor]:
        out = functional_call(net, changed, args, kwargs) if changed else net(*args, **kwargs)
        loss = replay.loss(out, min(16, replay.size))
        return [loss] if loss is not None else _numbers(out)

    before = result({})
    if not before or not all(torch.isfinite(t).all() for t in before):
        return None
    effect = {name: _change(before, result({name: moved[name]}))
              for name in [*moved][-SINGLY:]}  # fmt: skip
    prefix = replay.patient.prefix
    return {"silent": [prefix + n for n in silent][:64], "count": len(silent),
            "numel": sum(p.numel() for p in silent.values()), "effect": _change(
                before, result(moved)),
            "by_parameter": {prefix + n: size for n, size in effect.items()}}  # fmt: skip


def _silent(replay: Replay) -> dict[str, Tensor]:
    """Trainable, held by an optimiser, three times without a gradient, and never changed.

    A gradient of zero counts for weights only and where the loss can be asked: a loss of
    differences does not care for the last bias, nor batch norm for the one before it.
    """
    prefix = replay.patient.prefix
    found: dict[str, Tensor] = {}
    for name, p in replay.patient.inner.named_parameters():
        trace = replay.eyes.chart.params.get(prefix + name)
        rows = [r for r in trace.rows if "grad_none" in r] if trace else []
        norms = {row.get("weight_norm") for row in rows}
        zero = p.dim() > 1 and replay.call is not None and replay.target is not None
        silent = all(r["grad_none"] or (zero and r.get("grad_norm") == 0) for r in rows)
        if len(rows) >= SAMPLINGS and p.requires_grad and len(norms) == 1 and silent:
            found[name] = p
    return dict(sorted(found.items(), key=lambda item: _turn(replay, item[0])))


def _turn(replay: Replay, name: str) -> int:
    """When the layer of a parameter is called in a forward pass; -1 where none is known."""
    layers = [*replay.eyes.chart.layers]
    layer = (replay.patient.prefix + name).rpartition(".")[0]
    return layers.index(layer) if layer in layers else -1


def _numbers(out: Any) -> list[Tensor]:
    return [t for _, t in tensors_of(out) if t.is_floating_point() and t.dim() and t.numel()]


def _change(before: list[Tensor], after: list[Tensor]) -> float:
    """The least relative change of all outputs: which of them the loss takes is not known."""
    if [t.shape for t in after] != [t.shape for t in before]:
        return 0.0
    return min(((b - a).abs().amax() / a.abs().amax().clamp(min=1e-12)).item()
               for a, b in zip(before, after, strict=True))  # fmt: skip


REPLAYS = {"effects": effects}
