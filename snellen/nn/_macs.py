"""The multiply-adds of one call of a layer."""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd


def is_leaf(layer: nn.Module) -> bool:
    """Whether a layer is counted as a whole: attention does not call the layer that it holds."""
    return not any(layer.children()) or isinstance(layer, nn.MultiheadAttention)


def macs_of(layer: nn.Module, given: Any, out: Any) -> int:
    """A layer, its positional inputs and what it gave -> multiply-adds by its weights."""
    if isinstance(layer, _ConvTransposeNd):  # each number of the input meets a whole filter
        return int(given[0].numel() * layer.weight[0].numel())
    if isinstance(layer, _ConvNd | nn.Linear | nn.Bilinear):
        here = layer.weight[0].numel()  # bilinear: each number of one input, then of the other
        return int(out.numel() * here)
    if isinstance(layer, nn.RNNBase):
        x = given[0]
        return _tokens(getattr(x, "data", x), layer.input_size) * _matrices(layer)
    if isinstance(layer, nn.RNNCellBase):
        return _tokens(given[0], layer.input_size) * _matrices(layer)
    if isinstance(layer, nn.MultiheadAttention):
        return _projections(layer, given, out[0])
    return 0


def _tokens(x: Tensor, width: int) -> int:
    return x.numel() // width


def _matrices(layer: nn.Module) -> int:
    """Of a recurrent layer: each matrix is used once a step."""
    return sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))


def _projections(layer: nn.MultiheadAttention, given: Any, out: Tensor) -> int:
    """Queries, keys and values in, and the result out; a call by keywords counts as on itself."""
    E = layer.embed_dim
    num_q = _tokens(out, E)
    num_k, num_v = num_q, num_q
    if len(given) > 2:
        num_k, num_v = _tokens(given[1], layer.kdim or E), _tokens(given[2], layer.vdim or E)
    return E * (2 * num_q * E + num_k * (layer.kdim or E) + num_v * (layer.vdim or E))
