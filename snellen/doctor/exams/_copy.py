"""A copy of a network that may be trained: no hooks, no noise, nothing shared with the user's."""

import copy
from collections import OrderedDict

import torch
from torch import nn

from ..patient import HOOKS, is_lazy

LARGEST = 50_000_000  # parameters; more would not fit beside the training


class Uncopied(ValueError):
    """A network that holds what cannot be copied: a graph, a file or a lock."""


def calm_copy(net: nn.Module, dtype: torch.dtype | None = None) -> nn.Module | None:
    """A deep copy in train mode with dropout off; None where it is lazy or too large.

    >>> calm_copy(nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1)))[0].training
    False
    """
    params = list(net.parameters())
    if any(is_lazy(p) for p in params) or sum(p.numel() for p in params) > LARGEST:
        return None
    hooks = [(m, name, m.__dict__[name]) for m in net.modules() for name in HOOKS]
    try:
        for m, name, _ in hooks:  # what hooks hold need not bear a copy
            m.__dict__[name] = OrderedDict()
        twin = copy.deepcopy(net)
    except Exception as error:
        raise Uncopied(f"{type(net).__name__} cannot be copied: {error}") from error
    finally:
        for m, name, own_hooks in hooks:
            m.__dict__[name] = own_hooks
    for module in twin.modules():
        noisy = isinstance(module, nn.modules.dropout._DropoutNd)
        module.training = not noisy
        if isinstance(getattr(module, "dropout", None), float):
            module.__dict__["dropout"] = 0.0  # attention and recurrent cells
    for p, own in zip(twin.parameters(), params, strict=True):
        p.grad = None
        p.requires_grad_(own.requires_grad)
    return twin if dtype is None else twin.to(dtype)
