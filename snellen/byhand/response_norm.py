"""Local response normalisation: a channel is damped by its neighbours.

AlexNet's way to let channels compete at each pixel; batch normalisation took its place (notes
003, Study 7 (3), by AlexNet; Krizhevsky et al. 2012, section 3.3).
"""

from typing import TYPE_CHECKING

import numpy as np

from ._array import Array, Cache

if TYPE_CHECKING:
    from ._page import Page

PLACE = ("layers", 8)


def neighbours(channels: int, size: int) -> Array:
    """C, n -> matrix_CC: 1 where channel j is among the n around channel c.

    >>> neighbours(4, 3).tolist()
    [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """
    c, j = np.arange(channels)[:, None], np.arange(channels)
    # an even n reaches one further down than up, as PyTorch has it
    return ((j >= c - size // 2) & (j <= c + (size - 1) // 2)).astype(np.float64)


def response_norm_forward(
    x_BCHW: Array, *, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> tuple[Array, Cache]:
    """x_BCHW -> y_BCHW, cache; the constants are AlexNet's.

        s_c = k + alpha sum_j x_j^2            over the n channels j around c
        y_c = x_c s_c^-beta

    A convention to know: PyTorch's and Caffe's alpha is n times this one, since they divide the
    sum by n.

    Source: Krizhevsky et al. 2012, section 3.3.

    >>> x = np.array([3.0, 4.0]).reshape(1, 2, 1, 1)
    >>> response_norm_forward(x, size=3, k=0.0, alpha=1.0, beta=1.0)[0].ravel().tolist()
    [0.12, 0.16]
    """
    near_CC = neighbours(x_BCHW.shape[1], size)
    # how strongly the neighbours answered at the same pixel
    energy_BCHW = np.einsum("cj,bjhw->bchw", near_CC, x_BCHW**2)
    s_BCHW = k + alpha * energy_BCHW
    y_BCHW = x_BCHW * s_BCHW**-beta
    return y_BCHW, (x_BCHW, s_BCHW, near_CC, alpha, beta)


def response_norm_backward(d_y_BCHW: Array, cache: Cache) -> Array:
    """d_y_BCHW, cache -> d_x_BCHW.

    Two ways from x_j: into its own y, and into s of every channel that it is a neighbour of.

        dL/ds_c = -beta d_y_c x_c s_c^(-beta - 1)
        dL/dx_j = d_y_j s_j^-beta + 2 alpha x_j sum_c dL/ds_c      over the c that j is near

    Source: Krizhevsky et al. 2012, section 3.3, differentiated.

    >>> _, cache = response_norm_forward(np.ones((1, 1, 1, 1)), size=1, k=1.0, alpha=1.0, beta=1.0)
    >>> response_norm_backward(np.ones((1, 1, 1, 1)), cache).tolist()     # of x / (1 + x^2)
    [[[[0.0]]]]
    """
    x_BCHW, s_BCHW, near_CC, alpha, beta = cache
    # through its own output
    direct_BCHW = d_y_BCHW * s_BCHW**-beta
    # through the damping of all channels that it is a neighbour of
    d_s_BCHW = -beta * d_y_BCHW * x_BCHW * s_BCHW ** (-beta - 1.0)
    d_energy_BCHW = alpha * np.einsum("cj,bchw->bjhw", near_CC, d_s_BCHW)
    return direct_BCHW + 2.0 * x_BCHW * d_energy_BCHW


def walk(page: "Page") -> None:
    """One pixel of four channels; constants large enough to see something."""
    page.layer(
        response_norm_forward,
        response_norm_backward,
        x_BCHW=np.array([1.0, 2.0, -1.0, 3.0]).reshape(1, 4, 1, 1),
        size=3,
        k=1.0,
        alpha=0.5,
    )
