"""Pictures that are looked for: L-BFGS, torch's own, on the pixels instead of the weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from .method import Question


def descend(
    question: Question, start_1CHW: Tensor, loss: Callable[[Tensor], Tensor], steps: int
) -> Tensor:
    """x_1CHW from which `loss`, one number, does not fall any further, or after `steps` steps."""
    made = start_1CHW.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    solver = torch.optim.LBFGS([made], max_iter=steps, line_search_fn="strong_wolfe")
    count = 0

    def cost() -> Tensor:
        nonlocal count
        count = min(count + 1, steps)
        question.tell(count, steps)
        value = loss(made)
        (grad,) = torch.autograd.grad(value, [made])  # backward() would reach the weights'
        made.grad = grad.contiguous()
        return value.detach()

    solver.step(cost)
    return question.within(made.detach())


def noise(question: Question, share: float, seed: int) -> Tensor:
    """x_1CHW of Gaussian noise around 0, a share of the range wide."""
    random = torch.Generator().manual_seed(seed)
    x = question.x_1CHW
    return share * question.reach * torch.randn(x.shape, generator=random).to(x)


def roughness(x_1CHW: Tensor) -> Tensor:
    """x_1CHW -> the sum of squared differences between neighbours.

    >>> roughness(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))
    tensor(14.)
    """
    down, right = x_1CHW.diff(dim=2), x_1CHW.diff(dim=3)
    return down.square().sum() + right.square().sum()


def missed(said: Tensor, wanted: Tensor) -> Tensor:
    """The squared difference as a share of what is wanted.

    >>> missed(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 2.0]))
    tensor(0.5000)
    """
    return (said - wanted).square().sum() / wanted.square().sum().clamp(min=1e-12)
