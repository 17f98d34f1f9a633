"""Whether validation samples lie in the training part too: by row, by bytes, or nearly.

Near copies are pictures whose shrunk forms correlate above NEAR; distinct pictures of eight real
sets stay below 0.996. Tables of few columns correlate by nature and are compared by bytes only.
"""

from typing import Any

import torch
from torch import Tensor

from ..loader import innermost
from ..suspects import is_one
from ._case import Case, paths
from ._part import Part, spread

NEAR, LEAST = 0.999, 64  # correlation; values a sample must have
MOST, NEAREST = 1000, 20_000  # val samples, and train samples, that are compared for likeness
SHOWN = 64


def look(case: Case) -> dict[str, Any] | None:
    """The parts -> how many of val are in train, and which."""
    train, val = case.parts.get("train"), case.parts.get("val")
    if train is None or val is None or train.is_indices or _is_same(train, val):
        return None
    held = {digest: i for i, digest in reversed(list(enumerate(train.digests)))}
    exact = {i: held[d] for i, d in enumerate(val.digests) if d in held and _says(val, i)}
    by_row = _by_row(train, val)
    near = {} if by_row else _near(train, val, set(exact))
    found = {**near, **exact, **by_row}
    places = sorted(found)[:SHOWN]
    return {
        "exact": len(exact), "near": len(near), "overlap": len(by_row), "searched": len(val),
        "searched_near": min(len(val), MOST), "in_train": len(train), "of_train": train.total,
        "inside": 1 - len(set(train.digests)) / max(1, len(train)),
        "samples": [int(val.rows_N[i]) for i in sorted(found)],
        "pairs": [[int(val.rows_N[i]), int(train.rows_N[found[i]])] for i in places],
        "paths": paths(val, places),
    }  # fmt: skip


def _is_same(train: Part, val: Part) -> bool:
    """Validating on the training part itself is a measurement, not an accident."""
    one = train.dataset is not None and is_one(innermost(train.dataset), innermost(val.dataset))
    return one and len(train) == len(val) and torch.equal(train.rows_N, val.rows_N)


def _by_row(train: Part, val: Part) -> dict[int, int]:
    if train.dataset is None or innermost(train.dataset) is not innermost(val.dataset):
        return {}
    held = {row: i for i, row in enumerate(train.rows_N.tolist())}
    return {i: held[row] for i, row in enumerate(val.rows_N.tolist()) if row in held}


def _says(part: Part, i: int) -> bool:
    """A sample that shows nothing (all values equal) is like every other such sample."""
    thumb = part.thumbs_ND[i]
    return bool((thumb != thumb[0]).any())


def _near(train: Part, val: Part, known: set[int]) -> dict[int, int]:
    """Val sample -> a train sample that is nearly the same; those of `known` are left out."""
    if train.thumbs_ND.shape[1] != val.thumbs_ND.shape[1] or train.thumbs_ND.shape[1] < LEAST:
        return {}
    some = spread(len(train), NEAREST)
    base, found = unit(train.thumbs_ND[some]), {}
    rows = [i for i in spread(len(val), MOST).tolist() if i not in known]
    for chunk in torch.tensor(rows, dtype=torch.long).split(256):
        if not len(chunk):
            continue
        best = (unit(val.thumbs_ND[chunk]) @ base.T).max(1)
        for i, value, j in zip(chunk.tolist(), *map(Tensor.tolist, best), strict=True):
            if value > NEAR and _says(val, i):
                found[i] = int(some[j])
    return found


def unit(x_ND: Tensor) -> Tensor:
    """Rows -> rows without their mean, of length 1."""
    x_ND = x_ND - x_ND.mean(1, keepdim=True)
    return x_ND / x_ND.norm(dim=1, keepdim=True).clamp(min=1e-6)


EXAMS = {"copies": (("quick", "full", "after"), look)}
