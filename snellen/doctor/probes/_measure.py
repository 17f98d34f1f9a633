"""Small measurements that several probes share. Everything is detached, nothing draws numbers."""

from typing import Any

import torch
from torch import Tensor

SAMPLE = 1 << 16  # values looked at where all would cost too much


def summary(x: Tensor) -> dict[str, float]:
    """x of any shape and kind -> min, max, mean, std, absmax as floats; empty gives nothing.

    >>> summary(torch.tensor([1, 3]))["mean"]
    2.0
    """
    x = x.detach()
    if x.numel() == 0 or x.is_complex() or x.is_sparse or x.is_nested:
        return {}
    x = x.float() if x.dtype != torch.float64 else x
    low, high = torch.aminmax(x)
    std, mean = torch.std_mean(x, correction=0)
    names = ("min", "max", "mean", "std")
    values = dict(zip(names, torch.stack([low, high, mean, std]).tolist(), strict=True))
    values["absmax"] = max(abs(values["min"]), abs(values["max"]))
    return values


def bad_rows(x_B: Tensor) -> Tensor:
    """x_B... -> rows_N, the rows that hold a value that is not finite.

    >>> bad_rows(torch.tensor([[0., 1.], [float("nan"), 0.]])).tolist()
    [1]
    """
    x_B = x_B.detach()
    if not (x_B.is_floating_point() or x_B.is_complex()) or x_B.dim() == 0:
        return torch.empty(0, dtype=torch.long)
    if bool(torch.isfinite(x_B.sum())):  # one pass; a sum that overflows only costs a second one
        return torch.empty(0, dtype=torch.long)
    return (~torch.isfinite(x_B)).flatten(1).any(1).nonzero().flatten().cpu() if x_B.dim() > 1 \
        else (~torch.isfinite(x_B)).nonzero().flatten().cpu()  # fmt: skip


def farthest(target_B: Tensor) -> dict[str, Any]:
    """Float targets that nothing is learnt by -> their largest size, and the row that has it.

    >>> farthest(torch.tensor([[1.0, 2.0], [-9.0, 0.0]]))
    {'target_size': 9.0, 'target_at': 1}
    """
    if not target_B.is_floating_point() or not target_B.numel() or not target_B.dim():
        return {}
    if target_B.requires_grad:
        return {}
    size_B = target_B.abs().flatten(1).amax(1) if target_B.dim() > 1 else target_B.abs()
    return {"target_size": size_B.max().item(), "target_at": int(size_B.argmax())}


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The first tensor that a call received, looked for in order and one level deep."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return value
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, tuple | list | dict):
            for item in inner:
                if isinstance(item, Tensor):
                    return item
    return None


def target_facts(target: Tensor) -> dict[str, Any]:
    """A target -> its range, dtype and shape, by the chart's names."""
    facts: dict[str, Any] = {"target_dtype": str(target.dtype).removeprefix("torch."),
             "target_shape": list(target.shape)}  # fmt: skip
    if target.numel() and not target.is_complex():
        low, high = torch.aminmax(target.detach())
        facts |= {"target_min": low.item(), "target_max": high.item()}
        if target.is_floating_point():
            std, mean = torch.std_mean(target.detach().float(), correction=0)
            facts |= {"target_mean": mean.item(), "target_std": std.item()}
    return facts
