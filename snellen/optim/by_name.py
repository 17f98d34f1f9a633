"""Optimisers by their names over torch.optim, with the settings that a recipe knows.

Weight decay pulls on weights only: biases and normalisation scales (one-dimensional) are left out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_decays, check_rates
from ..core.parts import Part
from .heavy_ball import CaffeSGD

GROUP = "Optimisers"
PARTS = {
    "Batch gradient descent": Part(
        GROUP, "torch.optim.SGD", "one step a pass over all data (batch = all, momentum=0)", "004"
    ),
    "SGD, mini-batch SGD": Part(
        GROUP, "torch.optim.SGD, sn.optim.build",
        "w -= lr g of a random batch, whose mean is the full gradient; optim=sgd has momentum .9",
        "003 004",
    ),
    "AdaGrad": Part(GROUP, "torch.optim.Adagrad",
                    "g / (sqrt(sum of g^2) + eps); optim=adagrad", "003"),
    "RMSProp": Part(
        GROUP, "torch.optim.RMSprop",
        "g / (sqrt(average of g^2) + eps), decay .9 to .999 (torch: alpha, .99); optim=rmsprop",
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

    >>> OPTIMISERS["adam"].options(0.8), OPTIMISERS["rmsprop"].decay
    ({'betas': (0.8, 0.999)}, 'alpha')
    """

    kind: Callable[..., Optimizer]
    lr: float
    weight_decay: float = 0.0
    momentum: float | None = 0.9  # None where there is none
    options: Callable[[float], dict[str, Any]] = lambda momentum: {"momentum": momentum}
    decay: str | None = None  # PyTorch's word for the share of old squares that stays
    can_fuse: bool = True


OPTIMISERS = {  # in order of increasing complexity
    "sgd": Named(torch.optim.SGD, 0.05, 5e-4),
    "momentum": Named(torch.optim.SGD, 0.05, 5e-4),  # the notes' word for it
    "caffe": Named(CaffeSGD, 0.05, 5e-4, can_fuse=False),
    "nesterov": Named(torch.optim.SGD, 0.05, 5e-4,
                      options=lambda m: {"momentum": m, "nesterov": m > 0}),
    "adagrad": Named(torch.optim.Adagrad, 0.01, momentum=None),
    "rmsprop": Named(torch.optim.RMSprop, 1e-3, momentum=0.0, decay="alpha", can_fuse=False),
    "adadelta": Named(torch.optim.Adadelta, 1.0, momentum=None, decay="rho", can_fuse=False),
    "adam": Named(torch.optim.Adam, 1e-3, options=lambda m: {"betas": (m, 0.999)}),
    "adamw": Named(torch.optim.AdamW, 2e-3, 0.01, options=lambda m: {"betas": (m, 0.999)}),
}  # fmt: skip


def build(
    name: str,
    params: Iterable[nn.Parameter],
    *,
    lr: float,
    momentum: float | None = None,
    decay: float | None = None,
    weight_decay: float = 0.0,
    fused: bool = False,
) -> Optimizer:
    """Parameters -> optimiser; two groups, with and without weight decay.

    `momentum` is SGD's, RMSprop's or Adam's beta1, the usual one if not said; `decay` is RMSprop's
    alpha or Adadelta's rho, PyTorch's if not said. Raises UnknownName, and UsageError for a rate
    that is no number, not finite or below 0, for a momentum or decay outside [0, 1), and for one
    that the optimiser does not have.

    >>> optimiser = build("sgd", nn.Linear(2, 1).parameters(), lr=0.1, weight_decay=1e-4)
    >>> [group["weight_decay"] for group in optimiser.param_groups]
    [0.0001, 0.0]
    """
    if name not in OPTIMISERS:
        raise UnknownName(name, OPTIMISERS, "optimisers")
    check_rates(lr=lr, weight_decay=weight_decay)
    check_decays(momentum=momentum or 0.0, decay=decay or 0.0)
    named = OPTIMISERS[name]
    options = {"lr": lr, **_memory(name, momentum, decay)}
    params = list(params)
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if fused and named.can_fuse:
        options["fused"] = True
    return named.kind([g for g in groups if g["params"]] or [{"params": params}], **options)


def _memory(name: str, momentum: float | None, decay: float | None) -> dict[str, Any]:
    """What of the past the optimiser keeps, in PyTorch's words; UsageError for what it does not."""
    named, options = OPTIMISERS[name], {}
    for word, value, own in (("momentum", momentum, named.momentum), ("decay", decay, named.decay)):
        if value and own is None:
            raise UsageError(f"{name} has no {word}, so {word}={value:g} would do nothing; "
                             "leave it out")  # fmt: skip
    if named.momentum is not None:
        options = named.options(named.momentum if momentum is None else momentum)
    if named.decay is not None and decay is not None:
        options[named.decay] = decay
    return options
