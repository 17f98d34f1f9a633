"""Double precision where a device has it, else on the CPU: Apple's MPS, for one, has none."""

from functools import cache

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """x -> x in float64, on its own device if that can hold it, else on the CPU.

    >>> wide(torch.ones(1)).dtype
    torch.float64
    """
    return x.double() if has_float64(x.device.type) else x.cpu().double()


@cache
def has_float64(device: str) -> bool:
    """Whether tensors of a kind of device ("cuda") can be in float64; one is made, to see.

    >>> has_float64("cpu")
    True
    """
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True
