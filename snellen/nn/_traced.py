"""Whether a layer is only looked at: then it must show PyTorch's own operations."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx import Proxy


def is_traced(x: Any) -> bool:
    """Whether what runs is being compiled, exported, traced, counted or transformed; also where x
    is no plain tensor.
    """
    return (
        type(x) is not Tensor  # fx's stand-in for one, or another's own kind
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._functorch.is_legacy_batchedtensor(x)  # autograd.grad(is_grads_batched=True)
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
    )


def unchosen(module: nn.Module, kind: type[nn.Module], x: Any, *more: Any) -> Any:
    """What the layer gives as the class that it was made of. fx sees one node, as of any layer of
    PyTorch's.
    """
    if isinstance(x, Proxy):
        tracer: Any = x.tracer
        return tracer.create_proxy("call_module", tracer.path_of_module(module), (x, *more), {})
    return kind.forward(module, x, *more)


def as_plain(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The module as the class it was made of, with the same parameters: what TorchScript reads."""
    plain = copy.copy(module)
    plain.__class__ = kind
    return plain
