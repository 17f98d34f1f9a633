"""How much of the input one value of each tensor sees, followed from operation to operation."""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Pair = tuple[Any, Any]  # of whole or broken numbers
TAPS = {"upsample_nearest2d": 1, "upsample_bilinear2d": 2, "upsample_bicubic2d": 4}
HARMLESS = ("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "cat", "stack", "index",
            "_unsafe_view", "_reshape_copy", "clone", "copy_", "where", "gather")  # fmt: skip


class Reach(TorchDispatchMode):
    """Marks every tensor with its reach, the pixels of an input that one value sees, and stride.

    Both are (height, width), and may be broken numbers behind what makes images larger. Reach is
    infinite, not known, behind what changes an image's size in a way of its own. `opened` holds,
    for each module that runs now, the bytes of new tensors made by itself.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.opened: list[int] = []

    def start(self, x: Tensor) -> Tensor:
        """The input itself: each of its pixels sees one."""
        x.reach, x.stride_ = (1, 1), (1, 1)  # type: ignore[attr-defined]
        return x

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        seen = [a for a in tree_leaves(args) if hasattr(a, "reach")]
        if func.overloadpacket is torch.ops.aten.mul and seen:  # a gate is no way through the image
            seen = [max(seen, key=torch.numel)]
        if seen:
            before = _largest(a.reach for a in seen), _largest(a.stride_ for a in seen)
            after = self._after(func.overloadpacket.__name__, args, out, before)
        is_view = any(returned.alias_info for returned in func._schema.returns)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                if seen:
                    leaf.reach, leaf.stride_ = after  # type: ignore[attr-defined]
                if self.opened and not is_view:
                    self.opened[-1] += 4 * leaf.numel()
        return out

    def _after(self, name: str, args: Any, out: Any, before: tuple[Pair, Pair]) -> Any:
        """The reach and stride of what an operation gives."""
        reach, stride = before
        if name in ("mm", "addmm", "bmm", "mean"):
            return _largest((reach, self.size)), stride
        if name in ("_adaptive_avg_pool2d", "adaptive_max_pool2d"):
            sizes = zip(args[0].shape[-2:], args[1], strict=True)
            kernels = [_bin(int(size), bins) for size, bins in sizes]
            sides = [_slide(*side) for side in zip(reach, stride, kernels, strict=True)]
        elif name in ("convolution", "avg_pool2d", "max_pool2d_with_indices"):
            step = _enlarge if name == "convolution" and args[6] else _slide
            sides = [step(*side) for side in zip(reach, stride, *_window(name, args), strict=True)]
        elif name in TAPS:
            resized = args[0].shape[-2:], out.shape[-2:]
            corners = name != "upsample_nearest2d" and bool(args[2])
            sides = [_resample(*side, taps=TAPS[name], corners=corners)
                     for side in zip(reach, stride, *resized, strict=True)]  # fmt: skip
        elif name == "pixel_shuffle":
            sides = [_resample(r, s, 1, args[1], taps=1, corners=False)
                     for r, s in zip(reach, stride, strict=True)]  # fmt: skip
        elif name not in HARMLESS and _is_of_a_new_size(args, out):
            return (math.inf, math.inf), stride
        else:
            return reach, stride
        (height, down), (width, right) = sides
        return (height, width), (down, right)


def pixels(out: Tensor) -> int | None:
    """The longer side of what one value of a tensor sees; None where it is not known."""
    reach = max(getattr(out, "reach", (0, 0)))
    return None if reach == math.inf else math.floor(reach)


def _slide(reach: Any, stride: Any, kernel: int, step: int = 1, dilation: int = 1) -> Any:
    return reach + (kernel - 1) * dilation * stride, stride * step


def _enlarge(reach: Any, stride: Any, kernel: int, step: int, dilation: int) -> Any:
    """A transposed window: its outputs lie between the inputs."""
    stride = Fraction(stride) / step
    return reach + (kernel - 1) * dilation * stride, stride


def _resample(reach: Any, stride: Any, size: int, new: int, *, taps: int, corners: bool) -> Any:
    """Neighbours in the new image see `taps` each; how far they are apart depends on where."""
    share = Fraction(size - 1, new - 1) if corners and new > 1 else Fraction(size, new)
    between = 1 - Fraction(1, share.denominator)
    return reach + (taps - 1 + between) * stride, stride * share


def _is_of_a_new_size(args: Any, out: Any) -> bool:
    """Whether an image comes out whose height and width are no input's."""
    images = [a for a in tree_leaves(args) if isinstance(a, Tensor) and a.ndim == 4]
    sizes = {tuple(a.shape[2:]) for a in images}
    new = [o for o in tree_leaves(out) if isinstance(o, Tensor) and o.ndim in (3, 4)]
    if not images or not new:
        return False
    return any(tuple(o.shape[2:]) not in sizes for o in new)


def _largest(pairs: Iterable[Pair]) -> Pair:
    heights, widths = zip(*pairs, strict=True)
    return max(heights), max(widths)


def _window(name: str, args: Any) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and dilation of a sliding window, each (height, width)."""
    if name == "convolution":
        return _pair(args[1].shape[2:]), _pair(args[3]), _pair(args[5])
    dilation = args[4] if name.startswith("max") and len(args) > 4 else (1, 1)
    return _pair(args[1]), _pair(args[2] if len(args) > 2 and args[2] else args[1]), _pair(dilation)


def _bin(size: int, out: int) -> int:
    """The widest bin where `size` pixels are averaged to `out`; 1 where they stay."""
    return max(-(-(i + 1) * size // out) - i * size // out for i in range(out))


def _pair(sides: Sequence[int]) -> Pair:
    return sides[0], sides[-1]
