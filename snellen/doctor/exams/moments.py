"""Mean and spread of each channel: of train, of val, of both together, of a fitted transform."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._case import Case
from ._part import Part


def look(case: Case) -> dict[str, Any] | None:
    """The parts -> their moments, channel by channel."""
    train, val = case.parts.get("train"), case.parts.get("val")
    if train is None or val is None or train.is_indices:
        return None
    if train.mean_NC.shape[1] != val.mean_NC.shape[1]:
        return None
    both = (torch.cat([train.mean_NC, val.mean_NC]), torch.cat([train.square_NC, val.square_NC]))
    values: dict[str, Any] = {"num_train": len(train), "num_val": len(val)}
    for name, sums in (("train", _of(train)), ("val", _of(val)), ("all", both)):
        mean, std = moments(*sums)
        values |= {f"{name}_mean": mean, f"{name}_std": std}
    values["augmented"] = bool(train.more.get("anew"))
    values["whole"] = len(train) == train.total and len(val) == val.total
    if case.fitted is not None and (fitted := fitted_moments(case.fitted)):
        values |= {"fitted_mean": fitted[0], "fitted_std": fitted[1]}
    return values


def moments(mean_NC: Tensor, square_NC: Tensor) -> tuple[list[float], list[float]]:
    """Means and mean squares of samples -> mean and std of each channel."""
    mean = mean_NC.double().mean(0)
    std = (square_NC.mean(0) - mean.square()).clamp(min=0).sqrt()
    return mean.tolist(), std.tolist()


def fitted_moments(fitted: Any) -> tuple[list[float], list[float]] | None:
    """A transform with mean and std (or scikit-learn's mean_, scale_), or that pair -> lists.

    >>> fitted_moments((0.5, 2.0))
    ([0.5], [2.0])
    """
    if not isinstance(fitted, tuple | list):
        mean = getattr(fitted, "mean_", getattr(fitted, "mean", None))
        std = getattr(fitted, "scale_", getattr(fitted, "std", None))
        fitted = (mean, std)
    if len(fitted) != 2 or any(part is None or callable(part) for part in fitted):
        return None
    mean, std = (np.atleast_1d(np.asarray(part, float)).ravel().tolist() for part in fitted)
    return mean, std


def _of(part: Part) -> tuple[Tensor, Tensor]:
    return part.mean_NC, part.square_NC


EXAMS = {"moments": (("quick", "full", "after"), look)}
