"""Comparing numbers of PyTorch, of NumPy and of a formula, in double precision."""

import numpy as np
import torch
from torch import Tensor


def array(x: Tensor) -> np.ndarray:
    """A tensor, with its history or without -> its numbers."""
    return x.detach().numpy()


def same(got: Tensor | np.ndarray, wanted: Tensor | np.ndarray, atol: float = 1e-10) -> None:
    """Both have the same shape and, to `atol`, the same numbers."""
    torch.testing.assert_close(
        torch.as_tensor(got).detach(), torch.as_tensor(wanted).detach(), atol=atol, rtol=0
    )


def normal(*shape: int, seed: int = 0, requires_grad: bool = False) -> Tensor:
    """Standard normal numbers in float64, the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return numbers.requires_grad_(requires_grad)


def grads(out: Tensor, *inputs: Tensor, seed: int = 9) -> tuple[np.ndarray, ...]:
    """The gradient that comes down, drawn at random, and those that arrive at the inputs."""
    down = normal(*out.shape, seed=seed)
    return array(down), *map(array, torch.autograd.grad(out, inputs, down))
