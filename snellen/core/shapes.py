"""Networks of shapes alone: built without a number being drawn, run without one being computed.

On the meta device PyTorch goes through every draw and every norm in Python, for nothing: they keep
the shape that they are given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, init
from torch.overrides import TorchFunctionMode

DRAWS = (Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """What is made inside is on the meta device, and its weights are not drawn.

    >>> with shapes_alone():
    ...     layer = torch.nn.Conv2d(3, 8, 3)
    >>> layer.weight.device.type, layer.weight.shape
    ('meta', torch.Size([8, 3, 3, 3]))
    """
    with torch.device("meta"), Unfilled():
        yield


class Unfilled(TorchFunctionMode):
    """Leaves out what fills a tensor of the meta device, and the norm of a batch there.

    >>> with Unfilled():
    ...     torch.nn.BatchNorm2d(3, device="meta")(torch.empty(2, 3, 4, 4, device="meta")).shape
    torch.Size([2, 3, 4, 4])
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        given = args[0] if args else kwargs.get("tensor")
        if isinstance(given, Tensor) and given.is_meta:
            if func in DRAWS or getattr(func, "__module__", "") == init.__name__:
                return given
            if func is functional.batch_norm and _fits(*args, **kwargs):
                return torch.empty_like(given)
        return func(*args, **kwargs)


def _fits(
    x: Tensor, mean: Tensor | None, *others: Any, training: bool = False, **more: Any
) -> bool:
    """Whether there are statistics of each channel, and values to learn them from where they are
    learned: else PyTorch says what is wrong.
    """
    enough = x.numel() > x.shape[1] or not (training or (len(others) > 3 and others[3]))
    return mean is not None and len(mean) == x.shape[1] and enough
