"""Another end for a network: its head taken off, a task's own put in its place."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..data.inputs import Inputs


def end_in(net: nn.Module, inputs: Inputs, make: Callable[[int], nn.Module]) -> nn.Module:
    """A network of named stages -> the same with `make(width of its last map)` as its head.

    Auxiliary heads go; by the name `fc` the weights of a classifier's body fit. A module without
    stages and head, such as a user's own, stays as it is.
    """
    stages: Any = getattr(net, "stages", None)
    if not isinstance(stages, tuple) or not hasattr(net, "head"):
        return net
    modes = [(module, module.training) for module in net.modules()]
    x = torch.zeros(1, inputs.channels, inputs.height, inputs.width)
    with torch.no_grad():
        net.eval()
        for name in stages:
            x = net.get_submodule(name)(x)
    for module, mode in modes:
        module.training = mode
    net.add_module("head", nn.Sequential(OrderedDict(fc=make(x.shape[1]))))
    net.aux = None  # type: ignore[assignment]
    return net


def full(out: Tensor) -> Tensor:
    """Half precision -> single, for sums that need it; double stays, for checks of gradients.

    >>> full(torch.ones(1, dtype=torch.bfloat16)).dtype, full(torch.ones(1).double()).dtype
    (torch.float32, torch.float64)
    """
    return out if out.dtype == torch.float64 else out.float()
