"""Local response normalisation in the papers' constants: AlexNet 3.3 and GoogLeNet, notes 003.

b_i = a_i / (k + alpha * sum over n neighbouring maps of a_j^2) ^ beta. Papers mean alpha as it
stands; Caffe, and PyTorch after it, divide it by n. A constant taken over without a look at that
is n times too weak or too strong. (On a CPU PyTorch has no half-precision kernel for it; under
autocast it runs in float32.)
"""

from typing import Literal

from torch import nn

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_rates
from ..core.parts import Part

PARTS = {
    "Local response normalisation": Part(
        "Layers and shapes",
        "sn.nn.response_norm_of, torch.nn.LocalResponseNorm",
        "a map divided by its neighbours; PyTorch and Caffe divide alpha by n, papers do not",
        "003",
    ),
}


def response_norm_of(
    convention: Literal["paper", "caffe"] = "paper",
    n: int = 5,
    alpha: float = 1e-4,
    *,
    beta: float = 0.75,
    k: float = 2.0,
) -> nn.LocalResponseNorm:
    """x_BCHW -> the same shape; as they stand the constants are AlexNet's.

    `convention` says what alpha is: "paper" multiplies the sum of squares by it, "caffe" their
    mean over n. (Caffe's own AlexNet has n = 5, alpha = 1e-4, k = 1.) Raises UsageError on another
    word, where n is no whole number from 1 up, and for a constant below 0.

    >>> response_norm_of("paper").alpha, response_norm_of("caffe").alpha
    (0.0005, 0.0001)
    """
    if convention not in ("paper", "caffe"):
        raise UsageError(f"convention {convention!r}; 'paper' or 'caffe' is wanted")
    check_counts(n=n)
    check_rates(alpha=alpha, beta=beta, k=k)
    return nn.LocalResponseNorm(n, alpha * n if convention == "paper" else alpha, beta, k)
