"""What the engine does with one optimiser at each of its steps: names, gradients, the row."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .gradients import gradient_norm
from .patient import Patient, is_lazy
from .probes._probe import Feed, Stepper

NORM_EVERY = 10  # steps between two norms of all gradients
SHORT = 128  # numbers of a gradient that are read one by one


def name_parameters(stepper: Stepper, patients: Iterable[Patient]) -> None:
    """Name its parameters, and pick two whose gradients are looked at on every step.

    What is not finite spreads backwards, so the first layer's smallest tensor sees nearly all of
    it, and the last layer's the rest.
    """
    names = {k: v for patient in patients for k, v in patient.parameter_names().items()}
    for g, group in enumerate(stepper.optimizer.param_groups):
        for i, p in enumerate(group["params"]):
            stepper.params.append(p)
            stepper.names.append(names.get(id(p), f"optimizer{stepper.index}.{g}.{i}"))
    trained = [p for p in stepper.params if p.requires_grad and not is_lazy(p)]
    ends = trained[:2], trained[2:][-2:]
    stepper.outside = [min(end, key=lambda p: p.numel()) for end in ends if end]


def gradients_finite(stepper: Stepper, sampling: bool) -> bool:
    """Whether the gradients of this step are: of all now and then, of two at each step."""
    if stepper.steps % NORM_EVERY == 0 or sampling:
        stepper.norm = gradient_norm(stepper.params)
        return math.isfinite(stepper.norm)
    stepper.norm = None
    for p in stepper.outside:
        grad = p.grad
        if grad is not None and grad.is_cpu:
            grad = grad._values() if grad.is_sparse else grad
            if type(grad) is Tensor and grad.dim() == 1 and grad.numel() <= SHORT:
                total = sum(grad.tolist())  # half the time of a sum that torch makes
            else:
                total = grad.sum().item()
            if total - total != 0 and not torch.isfinite(grad).all():
                return False  # a sum of finite numbers may overflow
    return True


def row(stepper: Stepper, step: int, fed: Feed | None, alone: bool) -> dict[str, Any]:
    """The values of a step event."""
    carried = step > 0 and stepper.backwards > 0 and stepper.carried
    values: dict[str, Any] = {"backwards": stepper.backwards, "carried": carried}
    if stepper.backwards:
        divisor = stepper.backwards if alone else 1
        values["other_loss" if stepper.index else "loss"] = stepper.loss_sum / divisor
    lr = stepper.optimizer.param_groups[0].get("lr")
    if lr is not None:
        values["lr"] = float(lr)
    if stepper.index:
        values["optimizer"] = stepper.index
    if fed is not None:
        values["train_mode"] = fed.training
    if stepper.norm is not None and not stepper.inside < stepper.backwards:
        values["grad_norm"] = stepper.norm
    elif stepper.inside < stepper.backwards:  # a closure's gradients came inside the step
        values["grad_norm"] = gradient_norm(stepper.params)
    return values
