"""How like its truth a picture is: PSNR, and SSIM (Wang et al. 2004, doi 10.1109/TIP.2003.819861).

Published PSNR of super-resolution is of the luma alone, 16 to 235 as in a studio, without a border
of as many pixels as the scale; of full range it is lower by more than a decibel.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part

PARTS = {
    "PSNR and SSIM": Part(
        "Losses",
        "sn.nn.psnr, sn.nn.ssim",
        "how like its truth a picture is; luma='studio' as papers on super-resolution count",
        "000",
    ),
}

Luma = Literal["studio", "full"]
LUMA = {  # ITU-R 601: what black has, and the weights of red, green and blue
    "studio": (16 / 255, (65.481 / 255, 128.553 / 255, 24.966 / 255)),
    "full": (0.0, (0.299, 0.587, 0.114)),
}
WINDOW, SIGMA = 11, 1.5
STEADY = 0.01**2, 0.03**2  # of a range of 1: the paper's K1 and K2


def psnr(
    said_BCHW: Tensor, true_BCHW: Tensor, *, luma: Luma | None = None, border: int = 0
) -> Tensor:
    """Two batches of pictures in 0..1 -> decibels_B, infinite where they are equal.

    `border` pixels at each edge do not count. Raises UsageError for other shapes or words.

    >>> psnr(torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.6)).round().tolist()
    [20.0]
    """
    _check(said_BCHW, true_BCHW)
    if not 0 <= 2 * border < min(said_BCHW.shape[-2:]):
        raise UsageError(f"a border of {border} leaves nothing of {_size(said_BCHW)} pixels")
    pair = [x.double() if luma is None else luma_of(x, luma) for x in (said_BCHW, true_BCHW)]
    inner = [x[..., border : x.shape[-2] - border, border : x.shape[-1] - border] for x in pair]
    return -10 * (inner[0] - inner[1]).square().mean((1, 2, 3)).log10()


def ssim(said_BCHW: Tensor, true_BCHW: Tensor) -> Tensor:
    """Two batches of pictures in 0..1 -> likeness_B, 1 where they are equal.

    A Gaussian window of 11 pixels (fewer in smaller pictures), wherever it fits as a whole.

    >>> x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> ssim(x, x).tolist(), bool((ssim(x, 1 - x) < 0).all())
    ([1.0, 1.0], True)
    """
    _check(said_BCHW, true_BCHW)
    a, b = said_BCHW.double(), true_BCHW.double()
    side = min(WINDOW, *(n - 1 + n % 2 for n in a.shape[-2:]))  # odd

    def blurred(x: Tensor) -> Tensor:
        kernel = _gaussian(side).to(x)
        each = x.flatten(0, 1)[:, None]
        once = F.conv2d(F.conv2d(each, kernel[None, None, :, None]), kernel[None, None, None])
        return once.view(*x.shape[:2], *once.shape[-2:])

    mean_a, mean_b = blurred(a), blurred(b)
    spread = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    together = blurred(a * b) - mean_a * mean_b
    first, second = STEADY
    light = (2 * mean_a * mean_b + first) / (mean_a**2 + mean_b**2 + first)
    return (light * (2 * together + second) / (spread + second)).mean((1, 2, 3))


def luma_of(x_BCHW: Tensor, luma: Luma) -> Tensor:
    """x_B3HW in 0..1 -> its luma (B, 1, H, W) of float64; gray pictures have no other colour.

    >>> (luma_of(torch.ones(1, 3, 1, 1), "studio") * 255).round().item()
    235.0
    """
    if luma not in LUMA:
        raise UsageError(f"luma={luma!r}; 'studio', 'full' or None is wanted")
    black, weights = LUMA[luma]
    weights_C = torch.tensor(weights, dtype=torch.float64, device=x_BCHW.device)
    x = x_BCHW.double().expand(-1, 3, -1, -1)
    return black + (x * weights_C[:, None, None]).sum(1, keepdim=True)


def _gaussian(side: int) -> Tensor:
    places = torch.arange(side, dtype=torch.float64) - side // 2
    weights = (-(places**2) / (2 * SIGMA**2)).exp()
    return weights / weights.sum()


def _check(said: Tensor, true: Tensor) -> None:
    if said.ndim != 4 or said.shape != true.shape or not said.numel():
        raise UsageError(
            f"pictures of shape {tuple(said.shape)} and {tuple(true.shape)}; "
            "two batches (B, C, H, W) alike are wanted"
        )
    if not (said.is_floating_point() and true.is_floating_point()):
        raise UsageError(f"pictures of {said.dtype} and {true.dtype}; floats in 0..1 are wanted: "
                         "x.float() / 255")  # fmt: skip


def _size(x: Tensor) -> str:
    return f"{x.shape[-2]}x{x.shape[-1]}"
