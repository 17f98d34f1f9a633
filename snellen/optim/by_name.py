"""Optimisers by their names over torch.optim, with the settings that a recipe knows.

Weight decay pulls on weights only: biases and normalisation scales (one-dimensional) are left out.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..core.errors import UnknownName

# name -> (class, usual lr, usual weight decay, how momentum is passed)
OPTIMISERS: dict[str, tuple[type[Optimizer], float, float, Callable[[float], dict[str, Any]]]] = {
    # in order of increasing complexity
    "sgd": (torch.optim.SGD, 0.05, 5e-4, lambda m: {"momentum": m, "nesterov": m > 0}),
    "rmsprop": (torch.optim.RMSprop, 1e-3, 0.0, lambda m: {"alpha": m}),
    "adam": (torch.optim.Adam, 1e-3, 0.0, lambda m: {"betas": (m, 0.999)}),
    "adamw": (torch.optim.AdamW, 2e-3, 0.01, lambda m: {"betas": (m, 0.999)}),
}


def build(
    name: str,
    params: Iterable[nn.Parameter],
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    fused: bool = False,
) -> Optimizer:
    """Parameters -> optimiser; two groups, with and without weight decay.

    >>> optimiser = build("sgd", nn.Linear(2, 1).parameters(), lr=0.1, weight_decay=1e-4)
    >>> [group["weight_decay"] for group in optimiser.param_groups]
    [0.0001, 0.0]
    """
    if name not in OPTIMISERS:
        raise UnknownName(name, OPTIMISERS, "optimisers")
    kind, _, _, pass_momentum = OPTIMISERS[name]
    params = list(params)
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    options = {"lr": lr, **pass_momentum(momentum)}
    if fused and name != "rmsprop":  # torch has no fused RMSprop
        options["fused"] = True
    return kind([g for g in groups if g["params"]] or [{"params": params}], **options)
