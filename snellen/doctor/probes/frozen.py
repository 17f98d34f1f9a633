"""Layers that are frozen and still hold the numbers that PyTorch draws for a new one.

A new Linear or convolution is uniform within 1/sqrt(fan_in): training leaves that interval soon.
"""

import math
from typing import Any

from torch import Tensor, nn

from ._replay import WEIGHTED, Replay

EDGE, SPREAD, LEAST = 1e-3, 0.05, 100


def frozen(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network -> its frozen weights, and those among them that were never trained."""
    held = [(name, m.weight) for name, m in net.named_modules() if isinstance(m, WEIGHTED)
            and isinstance(getattr(m, "weight", None), nn.Parameter)]  # fmt: skip
    still = [(name, w) for name, w in held if not w.requires_grad]
    if not still or len(still) == len(held) or not replay.last:
        return None
    new = [(n, w) for n, w in still if w.numel() >= LEAST and is_as_drawn(w)]
    numel = sum(w.numel() for _, w in held)
    share = max(sum(w.numel() for _, w in new) / max(1, numel), len(new) / len(held))
    return {"frozen": len(still), "new": [replay.patient.prefix + n for n, _ in new][:64],
            "share": share}  # fmt: skip


def is_as_drawn(weight: Tensor) -> bool:
    """Whether a weight is uniform within 1/sqrt(fan_in), as a new layer's is.

    >>> is_as_drawn(nn.Linear(64, 64).weight), is_as_drawn(nn.Parameter(nn.Linear(9, 9).weight * 2))
    (True, False)
    """
    edge = 1 / math.sqrt(weight[0].numel())
    w = weight.detach().float()
    top, std = w.abs().max().item(), w.std().item()
    return (1 - 10 / w.numel() < top / edge <= 1 + EDGE
            and abs(std * math.sqrt(3) / edge - 1) < SPREAD)  # fmt: skip


REPLAYS = {"frozen": frozen}
