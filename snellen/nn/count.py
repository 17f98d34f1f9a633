"""Sizes of a network without running it: parameters, multiply-adds, activations, receptive field.

Counted are the multiply-adds of convolutions and linear layers, as published tables do: not biases,
norms, activations or pooling. On the meta device shapes flow and no number is computed.
"""

import copy
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..core.parts import Part

Shape = tuple[int, int, int]
Pair = tuple[int, int]
FREE = (nn.Identity, nn.Flatten, nn.Unflatten)  # they give what they got
PARTS = {
    "Parameter and multiply-add counter": Part(
        "Layers and shapes",
        "sn.nn.count_params, sn.nn.count_macs",
        "F·F·D·K + K parameters, H·W·D·K·F·F multiply-adds a convolution",
        "003 004",
    ),
    "Memory per layer": Part(
        "Layers and shapes",
        "sn.nn.layers",
        "parameters, multiply-adds, activation bytes and receptive field of each layer",
        "003",
    ),
}
SMALL_NET, SMALL_IMAGE = 1_000_000, 64 * 64  # parameters and pixels of which a try takes 0.1 s


def count_params(net: nn.Module) -> int:
    """Every trainable or frozen number of the network, buffers apart.

    >>> count_params(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in net.parameters())


def count_macs(net: nn.Module, input: Shape) -> int:
    """Multiply-adds for one image of shape (C, H, W) in eval mode.

    >>> count_macs(nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10))
    21600
    """
    net = probe_copy(net, input[1] * input[2]).eval()
    counts: list[int] = []
    for layer in [m for m in net.modules() if not any(m.children())]:
        layer.register_forward_hook(lambda layer, _, out: counts.append(_macs(layer, out)))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        net(torch.zeros(1, *input, device=device_of(net), dtype=_dtype_of(net)))
    return sum(counts)


def layers(net: nn.Module, input: Shape) -> list[dict[str, Any]]:
    """One dict for each layer in the order in which they ended: the leaves, and blocks that add.

    Keys: name, kind, shape (of one image's output), params, macs, activation_bytes (float32; what
    an in-place layer or a flattening gives takes none), receptive_field (pixels of the input that
    one output sees, with the padding around the image). A block of layers has a line where it
    computes something itself, as a sum or a concatenation, and it counts only that.

    >>> layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), (1, 8, 8))[1]["receptive_field"]
    4
    """
    net = meta_copy(net).eval()
    table: list[dict[str, Any]] = []
    with torch.no_grad(), _Reach(input[1:]) as reach:
        for name, layer in net.named_modules():
            layer.register_forward_pre_hook(lambda *_: reach.opened.append(0))
            layer.register_forward_hook(_recorder(name, table, reach))
        net(torch.empty(1, *input, device="meta", dtype=_dtype_of(net)))
    return table


def probe_copy(net: nn.Module, pixels: int) -> nn.Module:
    """A copy to try sizes on: of shapes alone, or whole where a try on so many pixels is quick.

    The first convolution on the meta device imports a second's worth of PyTorch.
    """
    if count_params(net) > SMALL_NET or pixels > SMALL_IMAGE or device_of(net).type != "cpu":
        return meta_copy(net)
    return copy.deepcopy(net)


def device_of(net: nn.Module) -> torch.device:
    """Where the network's numbers are."""
    return next((t.device for t in chain(net.parameters(), net.buffers())), torch.device("cpu"))


def _dtype_of(net: nn.Module) -> torch.dtype:
    """The type of the network's numbers."""
    kinds = (t.dtype for t in chain(net.parameters(), net.buffers()) if t.is_floating_point())
    return next(kinds, torch.get_default_dtype())


def meta_copy(net: nn.Module) -> nn.Module:
    """A copy of the network without its numbers: shapes flow through it, no memory is taken."""
    memo: dict[int, Any] = {}
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    for buffer in net.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(net, memo)


def _recorder(name: str, table: list[dict[str, Any]], reach: "_Reach") -> Any:
    def record(layer: nn.Module, _: Any, out: Tensor) -> None:
        own, leaf = reach.opened.pop(), not any(layer.children())
        out = max(tree_leaves(out), key=torch.numel)  # of several maps the largest
        if leaf:
            own = (
                0
                if getattr(layer, "inplace", False) or isinstance(layer, FREE)
                else 4 * out.numel()
            )
        if not leaf and not own:
            return
        table.append({
            "name": name,
            "kind": type(layer).__name__,
            "shape": list(out.shape[1:]),
            "params": sum(p.numel() for p in layer.parameters(recurse=leaf)),
            "macs": _macs(layer, out),
            "activation_bytes": own,
            "receptive_field": max(getattr(out, "reach", (0, 0))),
        })  # fmt: skip

    return record


def _macs(layer: nn.Module, out: Tensor) -> int:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return out.numel() * layer.weight[0].numel()
    return 0


class _Reach(TorchDispatchMode):
    """Marks every tensor with its reach, the pixels of an input that one value sees, and stride.

    Both are (height, width). `opened` holds, for each module that runs now, the bytes of new
    tensors made by itself.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.opened: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        seen = [a for a in tree_leaves(args) if hasattr(a, "reach")]
        if func.overloadpacket is torch.ops.aten.mul and seen:  # a gate is no way through the image
            seen = [max(seen, key=torch.numel)]
        reach, stride = _largest(a.reach for a in seen), _largest(a.stride_ for a in seen)
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "mean"):
            reach = _largest((reach, self.size))
        elif name == "_adaptive_avg_pool2d":
            bins = [_bin(int(n), out) for n, out in zip(args[0].shape[2:], args[1], strict=True)]
            height, width = (r + (k - 1) * s for r, s, k in zip(reach, stride, bins, strict=True))
            reach = height, width
        elif name in ("convolution", "avg_pool2d", "max_pool2d_with_indices"):
            sides = zip(reach, stride, *_window(name, args), strict=True)
            steps = [(r + (k - 1) * d * s, s * step) for r, s, k, step, d in sides]
            reach, stride = (steps[0][0], steps[1][0]), (steps[0][1], steps[1][1])
        is_view = any(returned.alias_info for returned in func._schema.returns)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                leaf.reach, leaf.stride_ = reach, stride  # type: ignore[attr-defined]
                if self.opened and not is_view:
                    self.opened[-1] += 4 * leaf.numel()
        return out


def _largest(pairs: Iterable[Pair]) -> Pair:
    heights, widths = zip((1, 1), *pairs, strict=True)
    return max(heights), max(widths)


def _window(name: str, args: Any) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and dilation of a sliding window, each (height, width)."""
    if name == "convolution":
        return _pair(args[1].shape[2:]), _pair(args[3]), _pair(args[5])
    return _pair(args[1]), _pair(args[2] if len(args) > 2 and args[2] else args[1]), (1, 1)


def _bin(size: int, out: int) -> int:
    """The widest bin where `size` pixels are averaged to `out`; 1 where they stay."""
    return max(-(-(i + 1) * size // out) - i * size // out for i in range(out))


def _pair(sides: Sequence[int]) -> Pair:
    return sides[0], sides[-1]
