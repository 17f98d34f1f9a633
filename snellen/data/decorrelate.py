"""PCA and whitening (note 003): the training part's principal directions, and unit variance along
them. Networks are not fed so; the notes show it, and classical methods want it.

The notes take the singular vectors of the covariance X'X / N. Those of X itself are the same
directions, and their squared singular values over N - 1 the variances, without squaring rounding
errors first.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_rates
from ..core.parts import Part
from .finite import check_tensor, finite_samples

PARTS = {
    "PCA": Part(
        "Preprocessing",
        "sn.data.decorrelate.principal",
        "projection on the directions of greatest variance of the training part",
        "003",
    ),
    "Whitening": Part(
        "Preprocessing",
        "sn.data.decorrelate.Principal.whiten, sn.data.decorrelate.Principal.whiten_in_place",
        "divided by the root of the variance too: covariance I; the second turns back (ZCA)",
        "003",
    ),
}


@dataclass(frozen=True, eq=False)
class Principal:
    """The directions of greatest variance, in falling order; float64."""

    mean_D: Tensor
    directions_KD: Tensor  # unit vectors, at right angles
    variances_K: Tensor  # of the training part along them, divisor N - 1
    total: float  # variance of the training part in all directions

    @property
    def explained_K(self) -> Tensor:
        """The share of the variance that lies along each direction.

        >>> x = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> principal(x).explained_K
        tensor([0.9000, 0.1000], dtype=torch.float64)
        """
        return self.variances_K / self.total

    def project(self, x_ND: Tensor) -> Tensor:
        """x_ND -> x_NK: coordinates along the directions; zero mean on the training part.

        >>> principal(torch.tensor([[1.0, 1.0], [3.0, 3.0]])).project(torch.tensor([[2.0, 2.0]]))
        tensor([[0.]])
        """
        return ((x_ND.double() - self.mean_D) @ self.directions_KD.T).to(_kind(x_ND))

    def rebuild(self, x_NK: Tensor) -> Tensor:
        """x_NK -> x_ND: the point with these coordinates, which PCA keeps of a sample.

        >>> pca = principal(torch.tensor([[1.0, 1.0], [3.0, 3.0]]))
        >>> pca.rebuild(pca.project(torch.tensor([[4.0, 4.0]]))).round(decimals=3)
        tensor([[4., 4.]])
        """
        return (x_NK.double() @ self.directions_KD + self.mean_D).to(_kind(x_NK))

    def whiten(self, x_ND: Tensor, epsilon: float = 0.0) -> Tensor:
        """x_ND -> x_NK of covariance I on the training part; `epsilon` is added to the variances,
        which keeps directions of little variance, mostly noise, small; UsageError below 0.

        >>> x = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> principal(x).whiten(x).T.cov().round(decimals=3).abs()
        tensor([[1., 0.],
                [0., 1.]])
        """
        check_rates(epsilon=epsilon)
        apart_ND = x_ND.double() - self.mean_D
        scale_K = (self.variances_K + epsilon).rsqrt()
        return (apart_ND @ self.directions_KD.T * scale_K).to(_kind(x_ND))

    def whiten_in_place(self, x_ND: Tensor, epsilon: float = 0.0) -> Tensor:
        """x_ND -> x_ND whitened and turned back (ZCA): as near to x as whitened data can be, so
        pictures still look like pictures.

        >>> x = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> principal(x).whiten_in_place(x)[0].sign()
        tensor([1., 0.])
        """
        return (self.whiten(x_ND.double(), epsilon) @ self.directions_KD).to(_kind(x_ND))


def principal(train_ND: Tensor, keep: int | None = None) -> Principal:
    """Training part x_ND -> its principal directions, `keep` of them or all that have variance.

    Directions without variance (pixels that are always black) are left out: whitening would
    divide by zero. The sign is such that the largest entry of a direction is positive.
    Raises UsageError where there are fewer directions than `keep`, DataError for NaN and Inf.

    >>> principal(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])).directions_KD
    tensor([[0.7071, 0.7071]], dtype=torch.float64)
    """
    check_tensor(train_ND)
    if train_ND.ndim != 2 or len(train_ND) < 2:
        raise UsageError(
            f"x of shape {tuple(train_ND.shape)}; two or more rows of features are wanted: "
            "x.flatten(1) makes rows of pictures"
        )
    x_ND = finite_samples(train_ND)
    mean_D = x_ND.mean(0)
    _, root_K, directions_KD = torch.linalg.svd(x_ND - mean_D, full_matrices=False)
    variances_K = root_K.square() / (len(x_ND) - 1)
    tolerance = x_ND.norm() * max(x_ND.shape) * torch.finfo(torch.float64).eps  # of the mean too
    rank = int((root_K > tolerance).sum())
    if keep is not None:
        check_counts(keep=keep)
    if keep is not None and keep > rank:
        raise UsageError(f"keep={keep}; the training part varies in {rank} directions")
    count = rank if keep is None else keep
    largest_K1 = directions_KD.gather(1, directions_KD.abs().argmax(1, keepdim=True))
    directions_KD = directions_KD * largest_K1.sign()
    return Principal(mean_D, directions_KD[:count], variances_K[:count], float(variances_K.sum()))


def _kind(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.float32
