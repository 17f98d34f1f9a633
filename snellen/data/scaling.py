"""Zero mean, unit deviation, -1 to 1: shift and scale of numbers (notes 000 002 003).

Every function looks at the TRAINING part and returns what it found; validation and test data are
prepared by the same object, never by statistics of their own.

    scaling = standardise(x_train, per="channel")
    x_train, x_test = scaling(x_train), scaling(x_test)
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.parts import Part
from .finite import check_tensor, finite_samples

Per = Literal["feature", "channel", "all"]

PARTS = {
    "Zero-mean centring": Part(
        "Preprocessing", "sn.data.scaling.centre", "minus the training part's mean", "000 002 003"
    ),
    "Standardising": Part(
        "Preprocessing",
        "sn.data.scaling.standardise, sn.data.statistics.channel_statistics",
        "zero mean, unit deviation, by feature, pixel or channel; Snellen's trainings do it",
        "000 002 003",
    ),
    "Scaling to [-1, 1]": Part(
        "Preprocessing",
        "sn.data.scaling.to_range, sn.data.scaling.centre_to_range",
        "least and greatest become -1 and 1; or zero mean, and the furthest value has size 1",
        "003",
    ),
    "L2 norm of samples": Part(
        "Preprocessing", "sn.data.scaling.unit_rows", "every sample has length 1", "000"
    ),
}


@dataclass(frozen=True, eq=False)
class Scaling:
    """x -> (x - shift) / scale. Both broadcast over the samples, in float64.

    >>> Scaling(torch.tensor([1.0]), torch.tensor([2.0]))(torch.tensor([[5.0]]))
    tensor([[2.]])
    """

    shift: Tensor
    scale: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x_N... -> the same shape, scaled; whole numbers become float32, floats keep their type.

        >>> centre(torch.tensor([[0.0], [2.0]]))(torch.tensor([[4]]))
        tensor([[3.]])
        """
        kind = x.dtype if x.is_floating_point() else torch.float32
        return ((x.double() - self.shift.to(x.device)) / self.scale.to(x.device)).to(kind)

    def undo(self, x: Tensor) -> Tensor:
        """Scaled numbers -> the numbers that they were.

        >>> centre(torch.tensor([[0.0], [2.0]])).undo(torch.tensor([[3.0]]))
        tensor([[4.]])
        """
        kind = x.dtype if x.is_floating_point() else torch.float32
        return (x.double() * self.scale.to(x.device) + self.shift.to(x.device)).to(kind)


def centre(train: Tensor, per: Per = "feature") -> Scaling:
    """Training part x_N... -> the shift to zero mean.

    per="feature": each place has its own mean (of pictures: each pixel, AlexNet's mean image);
    "channel": one for each channel of x_NCHW; "all": one. Raises DataError for NaN and infinities.

    >>> centre(torch.tensor([[0.0, 1.0], [2.0, 5.0]])).shift
    tensor([[1., 3.]], dtype=torch.float64)
    """
    x = finite_samples(train)
    mean = x.mean(_axes(x, per), keepdim=True)
    return Scaling(mean, torch.ones_like(mean))


def standardise(train: Tensor, per: Per = "feature") -> Scaling:
    """Training part x_N... -> the scaling to zero mean and deviation 1 (divisor N).

    A place that is constant is centred and not divided.

    Raises DataError where nothing or no finite number is given, UsageError for a wrong `per`.

    >>> standardise(torch.tensor([[0.0, 7.0], [2.0, 7.0]]))(torch.tensor([[4.0, 7.0]]))
    tensor([[3., 0.]])
    """
    x = finite_samples(train)
    axes = _axes(x, per)
    mean = x.mean(axes, keepdim=True)
    std = (x - mean).square().mean(axes, keepdim=True).sqrt()
    return Scaling(mean, _safe(std, mean))


def to_range(train: Tensor, per: Per = "feature") -> Scaling:
    """Training part x_N... -> the scaling that makes its least value -1 and its greatest 1.

    Bytes in their full range: (x - 127.5) / 127.5. What lies outside the training part's range
    comes to lie outside -1 .. 1. A constant place becomes 0.

    Raises DataError where nothing or no finite number is given, UsageError for a wrong `per`.

    >>> to_range(torch.tensor([[0], [255]]))(torch.tensor([[0], [51], [255]])).T
    tensor([[-1.0000, -0.6000,  1.0000]])
    """
    x = finite_samples(train)
    axes = _axes(x, per)
    low, high = x.amin(axes, keepdim=True), x.amax(axes, keepdim=True)
    middle = (high + low) / 2
    return Scaling(middle, _safe((high - low) / 2, middle))


def centre_to_range(train: Tensor, per: Per = "feature") -> Scaling:
    """Training part x_N... -> zero mean, and the value that is furthest from it has size 1.

    The notes' recipe: the mean goes, and division brings all into -1 .. 1.

    >>> centre_to_range(torch.tensor([[0.0], [0.0], [3.0]]))(torch.tensor([[0.0], [3.0]])).T
    tensor([[-0.5000,  1.0000]])
    """
    x = finite_samples(train)
    axes = _axes(x, per)
    mean = x.mean(axes, keepdim=True)
    return Scaling(mean, _safe((x - mean).abs().amax(axes, keepdim=True), mean))


def unit_rows(x: Tensor) -> Tensor:
    """x_N... -> the same shape, every sample of length 1 (L2); one of zeros stays.

    Nothing is learnt from other samples. Raises UsageError where there are no samples of numbers.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    check_tensor(x)
    if x.ndim < 2:
        raise UsageError(f"x of shape {tuple(x.shape)}; (samples, numbers ...) is wanted")
    length = torch.linalg.vector_norm(x.double(), dim=tuple(range(1, x.ndim)), keepdim=True)
    kind = x.dtype if x.is_floating_point() else torch.float32
    return (x / torch.where(length > 0, length, 1.0)).to(kind)


def _axes(x: Tensor, per: Per) -> tuple[int, ...]:
    if per == "feature":
        return (0,)
    if per == "channel":
        if x.ndim < 2:
            raise UsageError(
                f"per={per!r} of shape {tuple(x.shape)}; (samples, channels ...) is wanted"
            )
        return tuple(i for i in range(x.ndim) if i != 1)
    if per == "all":
        return tuple(range(x.ndim))
    raise UsageError(f"per={per!r} is not one of feature, channel, all; pixels are features")


def _safe(scale: Tensor, beside: Tensor) -> Tensor:
    """Scales without those that are rounding errors of a constant."""
    return torch.where(scale <= 1e-12 * beside.abs(), 1.0, scale)
