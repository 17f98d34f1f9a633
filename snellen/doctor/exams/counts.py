"""How many samples each class has."""

from typing import Any

import torch

from ._case import Case

CLASSES = 2000  # more different labels are no classes


def look(case: Case) -> dict[str, Any] | None:
    """The training part -> samples of each label that occurs, and the range of the labels."""
    train = case.parts.get("train")
    if train is None or train.labels_N is None or not len(train.labels_N):
        return None
    kinds, counts = torch.unique(train.labels_N, return_counts=True)
    if len(kinds) > CLASSES:
        return None
    return {"counts": {str(k): n for k, n in zip(kinds.tolist(), counts.tolist(), strict=True)},
            "searched": len(train), "total": train.total}  # fmt: skip


EXAMS = {"counts": (("quick", "full", "after"), look)}
