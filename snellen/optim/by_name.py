"""Optimisers by their names over torch.optim, with the settings that a recipe knows.

Weight decay pulls on weights only: biases and normalisation scales (one-dimensional) are left out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..core.errors import UnknownName
from ..core.parts import Part
from ._rates import check_rates
from .heavy_ball import CaffeSGD

GROUP = "Optimisers"
PARTS = {
    "Batch gradient descent": Part(
        GROUP, "torch.optim.SGD", "one step a pass over all data (batch = all, momentum=0)", "004"
    ),
    "SGD, mini-batch SGD": Part(
        GROUP, "torch.optim.SGD, sn.optim.build",
        "w -= lr g of a random batch, whose mean is the full gradient; optim=sgd is Nesterov's "
        "where momentum is above 0",
        "003 004",
    ),
    "AdaGrad": Part(GROUP, "torch.optim.Adagrad",
                    "g / (sqrt(sum of g^2) + eps); optim=adagrad", "003"),
    "RMSProp": Part(
        GROUP, "torch.optim.RMSprop",
        "g / (sqrt(average of g^2) + eps), decay .9, .99 or .999 (torch: alpha); optim=rmsprop",
        "001 003 004",
    ),
    "Adadelta": Part(GROUP, "torch.optim.Adadelta",
                     "steps in the weights' own unit, rms(steps) / rms(g); optim=adadelta", "004"),
    "Data parallel (several GPUs)": Part(
        GROUP, "torch.nn.parallel.DistributedDataParallel",
        "the mean of the processes' gradients is that of the whole batch",
        "001",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Named:
    """An optimiser of a recipe and its usual settings; `options` says how momentum is passed.

    >>> OPTIMISERS["adagrad"].momentum
    0.0
    """

    kind: Callable[..., Optimizer]
    lr: float
    weight_decay: float = 0.0
    momentum: float = 0.9  # 0 where there is none
    options: Callable[[float], dict[str, Any]] = lambda momentum: {"momentum": momentum}
    can_fuse: bool = True


OPTIMISERS = {  # in order of increasing complexity
    "sgd": Named(torch.optim.SGD, 0.05, 5e-4,
                 options=lambda m: {"momentum": m, "nesterov": m > 0}),
    "momentum": Named(torch.optim.SGD, 0.05, 5e-4),
    "caffe": Named(CaffeSGD, 0.05, 5e-4, can_fuse=False),
    "nesterov": Named(torch.optim.SGD, 0.05, 5e-4,
                      options=lambda m: {"momentum": m, "nesterov": m > 0}),
    "adagrad": Named(torch.optim.Adagrad, 0.01, momentum=0.0, options=lambda m: {}),
    "rmsprop": Named(torch.optim.RMSprop, 1e-3, options=lambda m: {"alpha": m}, can_fuse=False),
    "adadelta": Named(torch.optim.Adadelta, 1.0, options=lambda m: {"rho": m}, can_fuse=False),
    "adam": Named(torch.optim.Adam, 1e-3, options=lambda m: {"betas": (m, 0.999)}),
    "adamw": Named(torch.optim.AdamW, 2e-3, 0.01, options=lambda m: {"betas": (m, 0.999)}),
}  # fmt: skip


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

    Raises UnknownName, and UsageError for a rate that is no number, not finite or below 0.

    >>> optimiser = build("sgd", nn.Linear(2, 1).parameters(), lr=0.1, weight_decay=1e-4)
    >>> [group["weight_decay"] for group in optimiser.param_groups]
    [0.0001, 0.0]
    """
    if name not in OPTIMISERS:
        raise UnknownName(name, OPTIMISERS, "optimisers")
    check_rates(lr=lr, momentum=momentum, weight_decay=weight_decay)
    named = OPTIMISERS[name]
    params = list(params)
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    options = {"lr": lr, **named.options(momentum)}
    if fused and named.can_fuse:
        options["fused"] = True
    return named.kind([g for g in groups if g["params"]] or [{"params": params}], **options)
