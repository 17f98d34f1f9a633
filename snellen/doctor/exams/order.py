"""Whether the training loader draws at random, and how the labels lie in the order it deals."""

from typing import Any

import torch
from torch.utils.data import DataLoader, SequentialSampler, Subset, TensorDataset

from ._case import Case
from ._part import class_labels


def look(case: Case) -> dict[str, Any] | None:
    """A loader -> whether it keeps the order, and the runs of equal labels in that order.

    Labels drawn at random change with chance 1 - sum p^2 from one sample to the next.
    """
    loader = case.loader
    if not isinstance(loader, DataLoader):
        return None
    keeps = isinstance(getattr(loader, "sampler", None), SequentialSampler)
    if not keeps or not isinstance(
        loader.batch_sampler, torch.utils.data.BatchSampler | type(None)
    ):
        return {"shuffled": True}
    labels = _labels_of(loader.dataset)
    if labels is None or len(labels) < 2:
        return {"shuffled": False}
    shares = labels.unique(return_counts=True)[1] / len(labels)
    changes = int((labels[1:] != labels[:-1]).sum())
    expected = float((len(labels) - 1) * (1 - shares.square().sum()))
    return {"shuffled": False, "runs": changes + 1, "expected": expected + 1,
            "labels": len(shares), "samples": len(labels)}  # fmt: skip


def _labels_of(dataset: Any) -> torch.Tensor | None:
    """All labels in the order of the set, where they lie in memory."""
    rows: torch.Tensor | None = None
    while isinstance(dataset, Subset):
        mine = torch.as_tensor(dataset.indices)
        rows, dataset = mine if rows is None else mine[rows], dataset.dataset
    if type(dataset) is TensorDataset:
        y = dataset.tensors[1] if len(dataset.tensors) > 1 else None
    else:
        y = getattr(dataset, "targets", getattr(dataset, "labels", None))
    try:
        labels = class_labels(None if y is None or callable(y) else torch.as_tensor(y))
    except (TypeError, ValueError, RuntimeError):
        return None
    return labels if labels is None or rows is None else labels[rows]


EXAMS = {"order": (("full",), look)}
