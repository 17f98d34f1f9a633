"""Sizes of a network without running it: parameters, multiply-adds, activations, receptive field.

Counted are the multiply-adds of layers with weights, as published tables do: not biases, norms,
activations or pooling. On the meta device shapes flow and no number is computed.
"""

import copy
import math
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..core.parts import Part
from ._macs import is_leaf, macs_of
from ._reach import Reach, pixels

Shape = tuple[int, int, int]
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
OWN = frozenset(vars(nn.Module()))  # attributes that every module has
DOCTOR = "snellen.doctor."  # modules whose hooks look on and change nothing
SMALL_NET, SMALL_IMAGE = 1_000_000, 64 * 64  # parameters and pixels of which a try takes 0.1 s


def count_params(net: nn.Module) -> int:
    """Every trainable or frozen number of the network, buffers apart.

    >>> count_params(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() for p in net.parameters())


def count_macs(net: nn.Module, input: Shape) -> int:
    """Multiply-adds for one image of shape (C, H, W) in eval mode.

    Those of layers with weights: convolutions (transposed ones and those of any dimension too),
    linear, bilinear, recurrent and `nn.MultiheadAttention`'s projections. Products of two
    activations, as attention's scores, and weights that a module of one's own uses are not counted.

    >>> count_macs(nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10))
    21600
    """
    net = probe_copy(net, math.prod(input[1:]))
    net.eval()  # not chained: a user's own `eval` may return nothing
    counts: list[int] = []
    for layer in net.modules():
        if is_leaf(layer):
            layer.register_forward_hook(lambda *called: counts.append(macs_of(*called)))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        net(torch.zeros(1, *input, device=device_of(net), dtype=dtype_of(net)))
    return sum(counts)


def layers(net: nn.Module, input: Shape) -> list[dict[str, Any]]:
    """One dict for each layer in the order in which they ended: the leaves, and blocks that add.

    Keys: name, kind, shape (of one image's output), params, macs, activation_bytes (float32; what
    an in-place layer or a flattening gives takes none), receptive_field (pixels of the input that
    one output sees at most, with the padding around the image; None behind a step that is not known
    here, as an unfolding). A block of layers has a line where it computes something itself, as a
    sum or a concatenation, and it counts only that.

    >>> layers(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)), (1, 8, 8))[1]["receptive_field"]
    4
    """
    net = meta_copy(net)
    net.eval()
    table: list[dict[str, Any]] = []
    with torch.no_grad(), Reach(input[1:]) as reach:
        for name, layer in net.named_modules():
            layer.register_forward_pre_hook(lambda *_: reach.opened.append(0))
            layer.register_forward_hook(_recorder(name, table, reach))
        net(reach.start(torch.empty(1, *input, device="meta", dtype=dtype_of(net))))
    return table


def probe_copy(net: nn.Module, pixels: int) -> nn.Module:
    """A copy to try sizes on: of shapes alone, or whole where a try on so many pixels is quick.

    The first convolution on the meta device imports a second's worth of PyTorch.
    """
    if count_params(net) > SMALL_NET or pixels > SMALL_IMAGE or device_of(net).type != "cpu":
        return meta_copy(net)
    return unwatched_copy(net)


def unwatched_copy(net: nn.Module) -> nn.Module:
    """A copy with its numbers, without what the doctor hung on the network."""
    return _copied(net, _unwatched(net))


def device_of(net: nn.Module) -> torch.device:
    """Where the network's numbers are."""
    return next((t.device for t in chain(net.parameters(), net.buffers())), torch.device("cpu"))


def dtype_of(net: nn.Module) -> torch.dtype:
    """The type of the network's numbers."""
    kinds = (t.dtype for t in chain(net.parameters(), net.buffers()) if t.is_floating_point())
    return next(kinds, torch.get_default_dtype())


def meta_copy(net: nn.Module) -> nn.Module:
    """A copy of the network without its numbers: shapes flow through it, no memory is taken."""
    memo = _unwatched(net)
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    for buffer in net.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return _copied(net, memo)


def _unwatched(net: nn.Module) -> dict[int, Any]:
    """What a deepcopy takes in the place of hooks: the doctor's stay with the net he watches."""
    memo: dict[int, Any] = {}
    for module in net.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            homes = {k: str(getattr(h, "__module__", "")) for k, h in hooks.items()}
            if any(home.startswith(DOCTOR) for home in homes.values()):
                others = {k: h for k, h in hooks.items() if not homes[k].startswith(DOCTOR)}
                memo[id(hooks)] = type(hooks)(others)
    return memo


def _copied(net: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A deepcopy. Where that raises, results that a user's network keeps are copied apart from
    their graph, and attributes that nobody can copy, as locks and queues, are shared.
    """
    try:
        return copy.deepcopy(net, dict(memo))
    except Exception:  # of any kind
        memo |= _stand_ins(net, memo)
    return copy.deepcopy(net, memo)


def _stand_ins(net: nn.Module, memo: dict[int, Any]) -> dict[int, Any]:
    """What a deepcopy takes in the place of attributes that it cannot copy."""
    own = [vars(module) for module in net.modules()]
    values = [value for names in own for name, value in names.items() if name not in OWN]
    kept = [t for t in tree_leaves(values) if isinstance(t, Tensor) and t.grad_fn is not None]
    memo = memo | {id(tensor): tensor.detach() for tensor in kept}
    failing = [value for value in values if not _copies(value, memo)]
    for value in failing:  # a method of the network fails for its locks, and is copied without
        others = {id(other): other for other in failing if other is not value}
        if not _copies(value, memo | others):
            memo[id(value)] = value
    return memo


def _copies(value: Any, memo: dict[int, Any]) -> bool:
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:  # of any kind
        return False
    return True


def _recorder(name: str, table: list[dict[str, Any]], reach: Reach) -> Any:
    def record(layer: nn.Module, given: Any, result: Any) -> None:
        own, leaf = reach.opened.pop(), is_leaf(layer)
        tensors = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        out = max(tensors, key=torch.numel)  # of several maps the largest
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
            "macs": macs_of(layer, given, result),
            "activation_bytes": own,
            "receptive_field": pixels(out),
        })  # fmt: skip

    return record
