"""Angles between features and class vectors, and the margin function psi of L- and A-softmax.

A logit without bias is |W| |x| cos(theta). Multiplying the angle of the right class by m makes it
harder to be right, and so features of a class move closer together (arXiv:1612.02295).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.parts import Part
from ._labels import check_weight

PARTS = {
    "Margin function psi": Part(
        "Losses", "sn.nn.psi, sn.nn.cos_multiple",
        "(-1)^k cos(m theta) - 2k on [k pi/m, (k+1) pi/m]; cos(m theta) by Chebyshev's recurrence",
        "004",
    ),
}  # fmt: skip


def cosines(features_BD: Tensor, weight_KD: Tensor) -> Tensor:
    """features_BD, weight_KD -> cosines_BK of the angles between them; 0 for a zero vector.

    Raises UsageError for shapes that do not fit.

    >>> cosines(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, -2.0]]))
    tensor([[ 0.6000, -0.8000]])
    """
    check_weight(features_BD, weight_KD)
    return F.linear(F.normalize(features_BD), F.normalize(weight_KD))


def cos_multiple(cos: Tensor, m: int) -> Tensor:
    """cos(theta), any shape -> cos(m theta), by the recurrence of Chebyshev's polynomials.

    A polynomial has a gradient everywhere; cos(m * acos(x)) has none at +1 and -1. Raises
    UsageError where m is no whole number from 0 up.

    >>> cos_multiple(torch.tensor([1.0, 0.5, 0.0, -1.0]), 2)
    tensor([ 1.0000, -0.5000, -1.0000,  1.0000])
    """
    if not isinstance(m, int) or m < 0:
        raise UsageError(f"m={m!r}; the angle is multiplied by a whole number from 0 up")
    before, now = torch.ones_like(cos), cos
    if m == 0:
        return before
    for _ in range(m - 1):
        before, now = now, 2 * cos * now - before
    return now


def psi(cos: Tensor, m: int) -> Tensor:
    """cos(theta), any shape -> (-1)^k cos(m theta) - 2k, where k = floor(m theta / pi).

    Falls all the way from 1 at angle 0 to 1 - 2m at angle pi, without a jump; m = 1 is cos(theta).

    >>> psi(torch.tensor([1.0, 0.0, -1.0]), 4)
    tensor([ 1., -3., -7.])
    """
    if not isinstance(m, int) or m < 1:
        raise UsageError(f"margin={m!r}; a whole number from 1 up is wanted, 1 is no margin")
    ends = [math.cos(k * math.pi / m) for k in range(1, m)]  # where one piece ends and k grows
    k = sum((cos.detach() <= end for end in ends), torch.zeros_like(cos))
    return (1 - 2 * k.remainder(2)) * cos_multiple(cos, m) - 2 * k
