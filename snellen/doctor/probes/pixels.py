"""Which inputs never reach the output: zero gradient on every one of some random inputs.

Beside that map stands the arithmetic of each convolution and pooling: which places of its own input
its windows touch.
"""

from typing import Any

import torch
from torch import nn

from ._replay import Replay, only_output

SAMPLES = 12
LEAST = 0.02  # share of places that are lost
TRANSPOSED = nn.modules.conv._ConvTransposeNd
SLIDING = (nn.modules.conv._ConvNd, nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd)


def pixels(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network of pictures -> the share of pixels that it never sees, and the layer that skips."""
    x_B = replay.only_input()
    kinds = [m for m in net.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    if x_B is None or x_B.dim() < 3 or not kinds or isinstance(kinds[0], TRANSPOSED):
        return None
    skipping: list[dict[str, Any]] = []
    for name, module in net.named_modules():
        if isinstance(module, SLIDING) and not isinstance(module, TRANSPOSED):
            module.register_forward_pre_hook(_measure(name, skipping))
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(min(SAMPLES, replay.size), *x_B.shape[1:], generator=draw)
    few = x_B[: len(x)].to(x)
    x = (x * few.std() + few.mean()).to(x_B).requires_grad_()
    args, kwargs = replay.some(len(x))
    with torch.enable_grad():
        out = only_output(net(x, *args[1:], **kwargs))
        if out is None or not out.requires_grad:
            return None
        mix = torch.randn(out.shape, generator=draw).to(out)
        (grad,) = torch.autograd.grad((out * mix).sum(), x)
    lost = (grad == 0).flatten(2).all(0).all(0)
    share = lost.float().mean().item()
    return {"lost": share, "places": list(x.shape[2:]), **(skipping[0] if skipping else {})}


def _measure(name: str, skipping: list[dict[str, Any]]) -> Any:
    def look(module: Any, args: Any) -> None:
        shape = args[0].shape[2:]
        padding = module.padding
        if isinstance(padding, str):  # "same" goes with stride 1, "valid" is none
            padding = 0
        sizes = [_each(v, len(shape)) for v in (module.kernel_size, module.stride, padding,
                                               getattr(module, "dilation", 1))]  # fmt: skip
        if getattr(module, "ceil_mode", False):
            return
        kept = 1.0
        for side, k, s, p, d in zip(shape, *sizes, strict=True):
            kept *= touched(side, k, s, p, d) / side
        if 1 - kept > LEAST:
            gap = any(s > (k - 1) * d + 1 for k, s, d in zip(sizes[0], sizes[1], sizes[3],
                                                              strict=True))  # fmt: skip
            skipping.append({"module": name, "kind": type(module).__name__, "share": 1 - kept,
                             "kernel": sizes[0], "stride": sizes[1], "padding": sizes[2],
                             "dilation": sizes[3], "input": list(shape), "gap": gap})  # fmt: skip

    return look


def touched(side: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Places of one axis that some window covers.

    >>> touched(8, 3, 2, 0, 1), touched(8, 3, 2, 1, 1), touched(9, 2, 3, 0, 1)
    (7, 8, 6)
    """
    windows = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    seen = torch.zeros(side, dtype=torch.bool)
    places = torch.arange(windows)[:, None] * stride + torch.arange(kernel) * dilation - padding
    places = places.flatten()
    seen[places[(places >= 0) & (places < side)]] = True
    return int(seen.sum())


def _each(value: Any, count: int) -> list[int]:
    return [int(v) for v in value] if isinstance(value, tuple | list) else [int(value)] * count


REPLAYS = {"pixels": pixels}
