"""After the training: how the network answers the samples of both parts, one by one, in eval mode.

From it: what was learnt, whether val's class numbers mean the same, and which labels of train the
network disagrees with.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ._case import Case, paths
from ._part import Part

SURE, DOUBT, SHOWN = 0.9, 0.1, 200  # probability of another label, of the given one


def look(case: Case) -> dict[str, Any] | None:
    """Answers of the network -> scores of train and val, a relabelling of val, suspects."""
    if case.answers is None:
        return None
    values: dict[str, Any] = {}
    for name, part in case.parts.items():
        found = _answers(case, part)
        if found is None:
            continue
        logits_NK, labels, places = found
        values |= {f"{name}_loss": F.cross_entropy(logits_NK, labels).item(),
                   f"{name}_accuracy": (logits_NK.argmax(1) == labels).float().mean().item(),
                   f"{name}_count": len(labels)}  # fmt: skip
        if name == "train":
            values |= _suspects(part, places, logits_NK, labels)
            values["chance"] = (labels.bincount().max() / len(labels)).item()
        if name == "val":
            values["val_chance"] = (labels.bincount().max() / len(labels)).item()
            values |= relabelled(logits_NK.argmax(1), labels)
    return values or None


def _answers(case: Case, part: Part) -> tuple[Tensor, Tensor, Tensor] | None:
    """logits_MK, labels_M, places_M that fit together; None: no classifier of one label."""
    if part.labels_N is None or len(part) < 2 or case.answers is None:
        return None
    said = case.answers(part)
    if said is None or said[0].dim() != 2:
        return None
    logits, places_M = said
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    labels = part.labels_N[places_M]
    if int(labels.min()) < 0 or int(labels.max()) >= logits.shape[1]:
        return None
    return (logits, labels, places_M) if bool(torch.isfinite(logits).all()) else None


def relabelled(said_N: Tensor, labels_N: Tensor) -> dict[str, Any]:
    """Answers and labels -> the renaming of classes that fits best, and its accuracy.

    >>> relabelled(torch.tensor([1, 1, 0, 0]), torch.tensor([0, 0, 1, 1]))["mapping"]
    {'0': 1, '1': 0}
    """
    size = int(max(said_N.max(), labels_N.max())) + 1
    counts = torch.bincount(labels_N * size + said_N, minlength=size * size).view(size, size)
    mapping: dict[int, int] = {}
    left = counts.clone()
    for _ in range(size):  # greedy: the largest cell first
        best = int(left.argmax())
        if int(left.flatten()[best]) <= 0:
            break
        given, said = divmod(best, size)
        mapping[given] = said
        left[given], left[:, said] = -1, -1
    hit = sum(int(counts[a, b]) for a, b in mapping.items())
    moved = {str(a): b for a, b in sorted(mapping.items()) if a != b}
    return {"relabelled_accuracy": hit / len(labels_N), "mapping": moved}


def _suspects(part: Part, places_N: Tensor, logits_NK: Tensor, labels_N: Tensor) -> dict[str, Any]:
    """Samples whose label the network does not believe, those with the highest loss first."""
    p_NK = logits_NK.softmax(1)
    given = p_NK[torch.arange(len(labels_N)), labels_N]
    top = p_NK.max(1)
    against = (top.values > SURE) & (given < DOUBT)
    order = F.cross_entropy(logits_NK, labels_N, reduction="none").argsort(descending=True)
    order = order[against[order]][:SHOWN]
    return {
        "doubts": int(against.sum()), "confident": int((top.values > SURE).sum()),
        "wrong": int((top.indices != labels_N).sum()),
        "suspects": part.rows_N[places_N[order]].tolist(),
        "paths": paths(part, places_N[order].tolist()),
        "given": labels_N[order].tolist(), "said": top.indices[order].tolist(),
    }  # fmt: skip


EXAMS = {"skill": (("after",), look)}
