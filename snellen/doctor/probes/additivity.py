"""Whether the network is more than one affine map: f(a) + f(b) - f(a + b) = f(0) says no.

Asked of the output and, where the network is one of modules, of its last layer of weights: a
softmax at the end hides nothing. The layers in series are counted in the autograd graph, where
functional code counts as well; there it is seen, too, whether anything on their way could bend it
(a branch that starts at zero).
"""

from typing import Any

import torch
from torch import Tensor, nn

from ...core.wide import wide
from .. import graph
from ._replay import WEIGHTED, Replay, only_output

PAIRS = 6
AFFINE = {*graph.LINEAR, *graph.VIEWS, *(f"{name}Backward0" for name in (
    "Add", "Sub", "Neg", "Mul", "Div", "Sum", "Mean", "Cat", "Stack", "Select", "Slice", "Squeeze",
    "NativeBatchNorm", "CudnnBatchNorm", "AvgPool2D", "AdaptiveAvgPool2D", "ConstantPadNd",
    "Repeat", "Split", "Unbind", "PixelShuffle",
)), *(f"{name}Backward1" for name in ("Sum", "Mean", "Squeeze"))}  # fmt: skip


def additivity(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network -> by how much it is not affine, its layers of weights in series, its rank."""
    x_B = replay.only_input()
    if x_B is None or replay.size < 4:
        return None
    a, b = x_B[: replay.size // 2][:PAIRS], x_B[replay.size // 2 :][:PAIRS]
    b = b[: len(a)]
    four = torch.cat([a, b, a + b, torch.zeros_like(a)])
    rest, kwargs = replay.args[1:], replay.kwargs
    errors = [_error(wide(t)) if t is not None and len(t) == len(four) else None
              for t in _outputs(net, lambda: net(four, *rest, **kwargs))]  # fmt: skip
    if not (known := [error for error in errors if error is not None]):
        return None
    values: dict[str, Any] = {"error": min(known)}
    if values["error"] < 1e-3:
        with torch.enable_grad():
            outs = _outputs(net, lambda: net(x_B[:2], *rest, **kwargs))
            pairs = zip(errors, outs, strict=True)
            flat = [{"error": error, **_series(t)} for error, t in pairs
                    if t is not None and error is not None and error < 1e-3]  # fmt: skip
        values |= max(flat, key=lambda v: v["layers"], default={})
        width = next(t[:1].numel() for t in outs if t is not None)
        values["widths"] = [x_B[:1].numel(), width]
    return values


def _outputs(net: nn.Module, run: Any) -> list[Tensor | None]:
    """What the network gives, and what its last layer of weights gave; None for what is not one."""
    last: list[Tensor] = []
    handles = [m.register_forward_hook(lambda m, args, out: last.append(out))
               for m in net.modules() if isinstance(m, WEIGHTED)]  # fmt: skip
    try:
        out = only_output(run())
    finally:
        for handle in handles:
            handle.remove()
    return [t if t is not None and t.dim() else None for t in (out, *last[-1:])]


def _error(out: Tensor) -> float | None:
    """Relative departure from an affine map; None for an output that does not move."""
    a, b, both, zero = out.chunk(4)
    size = torch.cat([a - zero, b - zero]).abs().amax()
    if not torch.isfinite(out).all() or size <= 1e-6 * out.abs().amax() or size == 0:
        return None
    return ((a + b - both - zero).abs().amax() / size).item()


def _series(out: Tensor) -> dict[str, Any]:
    layers, rank = graph.layers_in_series(out)
    bent = any(node.name() not in AFFINE for node in graph.nodes(out) if node.next_functions)
    return {"layers": layers, "rank": rank, "bent": bent}


REPLAYS = {"additivity": additivity}
