"""What the second writings draw on: layers with fresh numbers, and the pools of the papers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Written:
    """A function with its arguments, and what makes it narrow, beside what makes our network so.

    `size` is the picture that the narrow one is compared at, `whole` the other's.
    """

    function: Callable[..., Any]
    given: dict[str, Any] = field(default_factory=dict)
    thin: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int, int] = (3, 32, 36)
    whole: tuple[int, int, int] | None = None


class Draw:
    """Layers with freshly drawn numbers, each kept in `tensors` in the order of use."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = []

    def numbers(self, *shape, scale=1.0, shift=0.0):
        drawn = torch.randn(shape, generator=self.generator, dtype=torch.double) * scale + shift
        self.tensors.append(drawn)
        return drawn

    def conv(self, x, cout, size, stride=1, pad=0, *, groups=1, bias=False):
        height, width = size if isinstance(size, tuple) else (size, size)
        fan = x.shape[1] // groups * height * width
        weight = self.numbers(cout, x.shape[1] // groups, height, width, scale=(2 / fan) ** 0.5)
        shift = self.numbers(cout, scale=0.1) if bias else None
        return F.conv2d(x, weight, shift, stride, pad, groups=groups)

    def norm(self, x, eps=1e-5):
        gain = self.numbers(x.shape[1], scale=0.2, shift=1.0)
        shift = self.numbers(x.shape[1], scale=0.2)
        mean = self.numbers(x.shape[1], scale=0.2)
        var = self.numbers(x.shape[1], scale=0.3).square_().add_(0.5)
        per_map = [v[:, None, None] for v in (gain, shift, mean, var)]
        return (x - per_map[2]) / (per_map[3] + eps).sqrt() * per_map[0] + per_map[1]

    def linear(self, x, outputs, bias=True):
        weight = self.numbers(outputs, x.shape[1], scale=x.shape[1] ** -0.5)
        return x @ weight.T + (self.numbers(outputs, scale=0.1) if bias else 0)

    def conv_norm_relu(self, x, cout, size, stride=1, pad=0, *, groups=1, bias=False):
        return relu(self.norm(self.conv(x, cout, size, stride, pad, groups=groups, bias=bias)))


def relu(x):
    return x * (x > 0)


def leaky(x):
    return torch.where(x > 0, x, 0.1 * x)


def mean_hw(x):
    return x.mean((2, 3))


def max_3_up(x):
    """3x3, stride 2, rounded up as in Caffe: the last window may hang over the edge."""
    height, width = (-(s - 3) % 2 for s in x.shape[2:])
    return F.max_pool2d(F.pad(x, (0, width, 0, height), value=-torch.inf), 3, 2)


def max_same(x):
    return F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 1)


def mean_same(x):
    """3x3, stride 1; the border's zeros count."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)


def dense(draw, x, classes, hidden):
    x = x.flatten(1)
    for _ in range(2):
        x = relu(draw.linear(x, hidden))
    return draw.linear(x, classes)
