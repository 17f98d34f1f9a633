"""How far back a recurrent network learns: the loss's gradient at each time step of its input.

Norms of parameters do not show it: a vanishing RNN has quite usual ones. Of a cell that a loop
calls the gradient at its input of each call is taken.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..loader import tensors_of
from ._replay import Replay

LEAST = 8  # time steps
SAMPLES = 32


def horizon(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network with recurrent parts -> gradients at the first and at later steps, of the worst."""
    parts = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.RNNBase | nn.RNNCellBase)]
    if not parts or (not replay.last and replay.eyes.step < 10):
        return None
    seen: dict[str, list[Tensor]] = {name: [] for name, _ in parts}
    for name, module in parts:
        module.register_forward_pre_hook(_mark(seen[name]))
    count = replay.size
    if all(getattr(m, "batch_first", True) for _, m in parts):
        count = min(SAMPLES, count)
    args, kwargs = replay.some(count)
    with torch.enable_grad():
        out = net(*args, **kwargs)
        loss = replay.loss(out, count)
        floats = [t for _, t in tensors_of(out) if t.is_floating_point()]
        if loss is None:
            loss = sum((t.float().square().mean() for t in floats), torch.zeros(()))
        marks = [x for xs in seen.values() for x in xs]
        grads = torch.autograd.grad(loss.mean(), marks, allow_unused=True)
    by_mark = {id(x): g for x, g in zip(marks, grads, strict=True)}
    worst: dict[str, Any] | None = None
    for name, module in parts:
        sizes = _by_time(module, [by_mark[id(x)] for x in seen[name]])
        if len(sizes) >= LEAST and max(sizes) > 0:
            ratio = max(sizes[: max(1, len(sizes) // 8)]) / max(sizes)
            if worst is None or ratio < worst["ratio"]:
                worst = {"module": name, "kind": type(module).__name__, "steps": len(sizes),
                         "ratio": ratio, "first": sizes[0], "largest": max(sizes),
                         "sizes": sizes[:: max(1, len(sizes) // 16)]}  # fmt: skip
    return worst


def _mark(home: list[Tensor]) -> Any:
    def look(module: Any, args: Any) -> Any:
        x = args[0]
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return None
        x = x if x.requires_grad else x.detach().requires_grad_()
        home.append(x)
        return (x, *args[1:])

    return look


def _by_time(module: Any, grads: list[Tensor | None]) -> list[float]:
    if isinstance(module, nn.RNNCellBase):
        return [0.0 if g is None else float(g.norm()) for g in grads]
    if len(grads) != 1 or grads[0] is None or grads[0].dim() != 3 or module.bidirectional:
        return []
    grad = grads[0].transpose(0, 1) if module.batch_first else grads[0]
    return grad.flatten(1).norm(dim=1).tolist()


REPLAYS = {"horizon": horizon}
