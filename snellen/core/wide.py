"""Double precision where a device has it, else on the CPU: Apple's MPS, for one, has none."""

import torch
from torch import Tensor

# By kind of device. No functools.cache: torch.compile, which may trace a caller, warns of those.
_found: dict[str, bool] = {}


def wide(x: Tensor) -> Tensor:
    """x -> x in float64, on its own device if that can hold it, else on the CPU.

    >>> wide(torch.ones(1)).dtype
    torch.float64
    """
    return x.double() if has_float64(x.device.type) else x.cpu().double()


def has_float64(device: str) -> bool:
    """Whether tensors of a kind of device ("cuda") can be in float64; one is made, to see.

    >>> has_float64("cpu")
    True
    """
    if device not in _found:
        _found[device] = _can_make(device)
    return _found[device]


def _can_make(device: str) -> bool:
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True
