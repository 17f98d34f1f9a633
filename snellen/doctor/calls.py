"""Sees what loss functions received, and activations that are functions and not modules.

A TorchFunctionMode sees `F.relu` however it was imported. It makes every torch call slower, so it
is on only from a sampled forward pass to its backward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .hung import is_traced
from .hushed import at_caller

LOSSES = (
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "gaussian_nll_loss",
    "poisson_nll_loss", "hinge_embedding_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss",
)  # fmt: skip
CLASS_LOSSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
ACTIVATIONS = ("relu", "relu_", "tanh", "sigmoid", "leaky_relu", "gelu", "elu", "silu", "softmax")
LAYERS = ("linear", "conv1d", "conv2d", "conv3d", "matmul", "mm", "addmm")
WATCHED: dict[Any, str] = {
    **{getattr(F, name): name for name in LOSSES},
    **{getattr(home, name): name.rstrip("_") for name in ACTIVATIONS
       for home in (F, torch, torch.Tensor) if hasattr(home, name)},
    **{getattr(home, name): name for name in LAYERS
       for home in (F, torch, torch.Tensor) if hasattr(home, name)},
    torch.Tensor.__matmul__: "matmul",
}  # fmt: skip


class Calls(TorchFunctionMode):
    """`heard(name, args, kwargs, result, error)` for each call of a watched function."""

    def __init__(self, heard: Callable[..., None]) -> None:
        super().__init__()
        self.heard = heard
        self.on = self.listening = False

    def start(self) -> None:
        """Listen, unless the user has a mode of their own: they are a stack, and end in order."""
        if not self.on and not torch._C._len_torch_function_stack():
            self.on = True
            self.__enter__()
        self.listening = self.on

    def stop(self) -> None:
        """Stop listening; leave the stack where nothing lies above.

        `loss.backward()` is such a call itself, during which the mode cannot be left: the engine
        calls again at the optimiser's step and at the next forward pass.
        """
        self.listening = False
        if self.on:
            depth = torch._C._len_torch_function_stack()
            if depth and torch._C._get_function_stack_at(depth - 1) is self:
                self.on = False
                self.__exit__(None, None, None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = WATCHED.get(func) if self.listening else None
        if name is None or is_traced():
            return func(*args, **kwargs)
        try:
            with at_caller():
                result = func(*args, **kwargs)
        except Exception as error:
            self.heard(name, args, kwargs, None, error)
            raise
        self.heard(name, args, kwargs, result, None)
        return result
