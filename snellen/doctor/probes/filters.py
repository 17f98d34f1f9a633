"""How rough the first layer's filters are: the share of their power above half of Nyquist."""

from typing import Any

import torch
from torch import Tensor, nn

from ._replay import Replay

LEAST = 5  # width of a filter: the power of a smaller one has no shape


def filters(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """A network of pictures -> roughness of its first filters, 0 (flat) .. 1."""
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or min(first.kernel_size) < LEAST or first.groups > 1:
        return None
    return {"rough": roughness(first.weight), "count": len(first.weight),
            "size": list(first.kernel_size)}  # fmt: skip


def roughness(w_OIHW: Tensor) -> float:
    """Filters -> the share of their power at frequencies above half of Nyquist on an axis.

    >>> roughness(torch.ones(1, 1, 8, 8))
    0.0
    """
    power = torch.fft.fft2(w_OIHW.detach().float()).abs().square()
    fy = torch.fft.fftfreq(w_OIHW.shape[2]).abs()[:, None]
    fx = torch.fft.fftfreq(w_OIHW.shape[3]).abs()[None, :]
    high = (torch.maximum(fy, fx) > 0.25).to(power.device)
    return (power[..., high].sum() / power.sum().clamp(min=1e-30)).item()


REPLAYS = {"filters": filters}
