"""Adam without the correction of its moments (notes 003 call it "almost"): why there is one.

Both moments start at zero and are too small at first, the second one more: the first step is
(1 - beta1) / sqrt(1 - beta2) = 3.16 times the full form's lr. To be looked at, not to train with:
torch.optim.Adam is the full form.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..core.errors import UsageError
from ..core.numbers import check_decays, check_rates
from ..core.parts import Part
from ._steps import move_each

PARTS = {
    "Adam": Part(
        "Optimisers", "torch.optim.Adam, torch.optim.AdamW",
        "moments with their bias corrected; the notes' full form has three misprints (errata)",
        "001 003 004",
    ),
    "Adam (almost)": Part(
        "Optimisers", "sn.optim.AlmostAdam",
        "moments as they are: the first step is (1-b1)/sqrt(1-b2) = 3.16 times Adam's",
        "003",
    ),
}  # fmt: skip


class AlmostAdam(Optimizer):
    """w -= lr * m / (sqrt(v) + eps) with m = b1 m + (1-b1) g and v = b2 v + (1-b2) g^2.

    Raises UsageError for a negative or non-finite rate or eps, betas outside [0, 1), and in `step`
    for a sparse gradient.

    >>> w = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = AlmostAdam([w], lr=0.1)
    >>> w.grad = torch.tensor([7.0]); optimizer.step(); w.data  # 1 - 0.316
    tensor([0.6838])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-7,
    ) -> None:
        check_rates(lr=lr, eps=eps)
        check_decays(**{f"betas[{i}]": beta for i, beta in enumerate(betas)})
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient; returns the closure's loss."""
        return move_each(self, closure, self._move)

    def _move(self, param: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse:
            raise UsageError("a sparse gradient, whose moments are not; use torch.optim.SparseAdam")
        state = self.state[param]
        if param.is_complex():  # two numbers each, as in torch.optim.Adam: a square of i is -1
            param, gradient = torch.view_as_real(param), torch.view_as_real(gradient)
        if not state:
            state["first"], state["second"] = torch.zeros_like(param), torch.zeros_like(param)
        beta1, beta2 = group["betas"]
        state["first"].lerp_(gradient, 1 - beta1)
        state["second"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        param.addcdiv_(
            state["first"], state["second"].sqrt().add_(group["eps"]), value=-group["lr"]
        )
