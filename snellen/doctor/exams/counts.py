"""How many samples each class has, and who carries a label that hardly any other has."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from ..labels import IGNORED, RARE, likely_classes
from ._case import Case, paths
from ._part import Part

CLASSES = 2000  # more different labels are no classes
SHOWN = 64  # samples that are named


def look(case: Case) -> dict[str, Any] | None:
    """The training part -> samples of each label that occurs, and the range of the labels."""
    train = case.parts.get("train")
    if train is None or train.labels_N is None or not len(train.labels_N):
        return None
    kinds, counts = torch.unique(train.labels_N, return_counts=True)
    if len(kinds) > CLASSES:
        return None
    live = case.live
    ignored = live.ignored if live is not None else IGNORED
    kept = Counter(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    del kept[ignored]
    named = {"counts": {str(k): n for k, n in kept.items()}, "searched": len(train),
             "total": train.total, "likely": likely_classes(kept)}  # fmt: skip
    if live is not None and live.classes > 1:
        named["classes"] = live.classes
    return {**named, **_rare(train, kinds, counts, ignored)}


def _rare(train: Part, kinds: Tensor, counts: Tensor, ignored: int) -> dict[str, Any]:
    """Who carries a label far rarer than is usual: row -> label, and their files."""
    assert train.labels_N is not None
    rare = (counts * RARE <= counts.median().clamp(min=RARE)) & (kinds != ignored)
    places = torch.isin(train.labels_N, kinds[rare]).nonzero()[:SHOWN, 0]
    rows = {str(int(train.rows_N[i])): int(train.labels_N[i]) for i in places}
    return {"rare": rows, "paths": paths(train, places.tolist())} if rows else {}


EXAMS = {"counts": (("quick", "full", "after"), look)}
