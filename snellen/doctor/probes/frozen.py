"""Layers that are frozen and still hold the numbers that PyTorch or an initialisation draws.

A new Linear or convolution is uniform within 1/sqrt(fan_in), a recurrent cell within
1/sqrt(hidden); He's and Glorot's draws have a std that the shape tells. Training leaves all soon.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ._replay import WEIGHTED, Replay

EDGE, SPREAD, LEAST = 1e-3, 0.05, 100
CHANCE = 1.34  # three standard errors of the std of one uniform value
NORMAL, SIGMAS = 2000, 2.5  # values from which a normal draw can be told from another
BLOCK, STRONGEST = 512, 1.04  # rows and columns looked at; the middle of 1.01 and 1.08
OTHERS = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


def frozen(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network -> its frozen weights, and those among them that were never trained."""
    held = list(_held(net))
    still = [(name, w) for name, w in held if not w.requires_grad]
    if not still or len(still) == len(held) or not replay.last:
        return None
    large = [(n, w) for n, w in still if w.numel() >= LEAST]
    new = [(n, w) for n, w in large if is_within(w, net.get_submodule(n.rpartition(".")[0]))]
    telling = [w for _, w in large if w.numel() >= NORMAL]
    if not new and telling and all(is_normal(w) for w in telling):
        new = large  # a bell is no proof for one layer of several: a trained one may look alike
    numel = sum(w.numel() for _, w in held)
    share = max(sum(w.numel() for _, w in new) / max(1, numel), len(new) / len(held))
    names = [replay.patient.prefix + _layer(n) for n, _ in new]
    return {"frozen": len({_layer(n) for n, _ in still}), "new": list(dict.fromkeys(names))[:64],
            "share": share, "held": len({_layer(n) for n, _ in held}),
            "head": replay.patient.prefix + _layer(held[-1][0])}  # fmt: skip


def _held(net: nn.Module) -> Any:
    """(name, weight) of every layer that has weights, in the order of the network."""
    for name, m in net.named_modules():
        if isinstance(m, (*WEIGHTED, *OTHERS)):
            for key, w in m.named_parameters(recurse=False):
                if w.dim() > 1 and "bias" not in key:
                    yield f"{name}.{key}".lstrip("."), w


def _layer(name: str) -> str:
    return name.rpartition(".")[0] or name


def is_within(weight: Tensor, layer: nn.Module | None = None) -> bool:
    """Whether a weight fills the interval that a new layer draws from, and no more.

    >>> is_within(nn.Linear(64, 64).weight), is_within(nn.Parameter(nn.Linear(9, 9).weight * 2))
    (True, False)
    """
    w = weight.detach().float()
    fan_in, fan_out = _fans(w)
    hidden = getattr(layer, "hidden_size", None)
    edges = [1 / math.sqrt(hidden or fan_in), math.sqrt(6 / (fan_in + fan_out)),
             math.sqrt(6 / fan_in)]  # fmt: skip
    top, std = w.abs().max().item(), w.std().item()
    spread = max(SPREAD, CHANCE / math.sqrt(w.numel()))
    return any(1 - 10 / w.numel() < top / edge <= 1 + EDGE
               and abs(std * math.sqrt(3) / edge - 1) < spread for edge in edges)  # fmt: skip


def _fans(w: Tensor) -> tuple[int, int]:
    return w[0].numel(), len(w) * w[0][0].numel()


def is_normal(weight: Tensor) -> bool:
    """Bell-shaped, of the std of an initialisation, and no direction stronger than by chance.

    The largest singular value of noise is std (sqrt(rows) + sqrt(columns)): measured 0.93 to 1.01
    of it where weights are drawn, 1.08 to 2.9 after 50 steps of training (Marchenko and Pastur).

    >>> is_normal(nn.init.kaiming_normal_(torch.empty(64, 64))), is_normal(torch.rand(64, 64))
    (True, False)
    """
    w = weight.detach().float()
    std, (fan_in, fan_out) = w.std().item(), _fans(w)
    if w.numel() < NORMAL or std == 0:
        return False
    noise = 1 / math.sqrt(2 * w.numel())
    known = (math.sqrt(2 / fan_in), math.sqrt(2 / fan_out), math.sqrt(2 / (fan_in + fan_out)), 0.02)
    if not any(abs(std / k - 1) < SIGMAS * noise for k in known):
        return False
    if abs(float((w / std).pow(4).mean()) - 3) > SIGMAS * math.sqrt(24 / w.numel()):
        return False
    part = w.flatten(1)[:BLOCK, :BLOCK]
    edge = std * (math.sqrt(part.shape[0]) + math.sqrt(part.shape[1]))
    return float(torch.linalg.matrix_norm(part, 2)) < STRONGEST * edge


REPLAYS = {"frozen": frozen}
