"""What the network received beside what the data set gives: are samples as far apart as they were?

Distances between samples survive any scaling, permutation or rotation, and a random crop in part;
noise that drowns the picture, and an eraser, leave nothing of them. Items are read again at the
end.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from ..apart import apart
from ..loader import items_of, tensors_of
from ._replay import Replay

LEAST, MOST, STEPS = 12, 32, 50
WIDE = 48  # values of a sample: fewer are like others by chance


def received(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """The last batch kept -> how well its distances agree with those of its items, drawn anew."""
    x_B, record = replay.only_input(), replay.record
    if x_B is None or record is None or not replay.rows or not replay.last:
        return None
    if replay.size < LEAST or replay.eyes.step < STEPS or _learns(replay):
        return None
    rows = replay.rows[:MOST]
    with apart(replay.eyes, "the data set", record.dataset, record.collate) as free:
        if not free:
            return None
        data = (record.collate or default_collate)(items_of(record.dataset, rows))
    given = tensors_of(data)
    if not given or not given[0][1].dim() or len(given[0][1]) != len(rows):
        return None
    here, there = _distances(x_B[: len(rows)]), _distances(given[0][1])
    if here is None or there is None:
        return None
    return {"agreement": torch.corrcoef(torch.stack([here, there]))[0, 1].item(),
            "mixed": _mixed(x_B[: len(rows)], given[0][1]), "samples": len(rows)}  # fmt: skip


def _mixed(x_B: Tensor, given_B: Tensor) -> float:
    """How like some item of the batch what was received is: mixing them (mixup) keeps that.

    An exact item in another's place is no mixture; that it is there says nothing good.
    """
    x, given = (t.detach().cpu().double().flatten(1) for t in (x_B, given_B))
    if x.shape != given.shape or x.shape[1] < WIDE:
        return 0.0
    rows = [t - given.mean(0) for t in (x, given)]
    x_BD, given_BD = (t / t.norm(dim=1, keepdim=True).clamp(min=1e-12) for t in rows)
    best_B, place_B = (x_BD @ given_BD.T).max(1)
    shuffled = bool((best_B > 1 - 1e-6).all()) and not _is_turned(place_B)
    return 0.0 if shuffled else best_B.median().item()


def _is_turned(place_B: Tensor) -> bool:
    """Whether places are reversed or rolled, as mixup does it: a share of all of it is one too.

    >>> _is_turned(torch.tensor([2, 1, 0])), _is_turned(torch.tensor([2, 0, 1]))
    (True, True)
    >>> _is_turned(torch.tensor([1, 0, 3, 2, 5, 4]))
    False
    """
    steps = place_B.diff().remainder(len(place_B))
    return bool((steps == 1).all()) or bool((steps == len(place_B) - 1).all())


def _learns(replay: Replay) -> bool:
    """Whether the loss fell, and below that of a guess: then nothing was destroyed."""
    losses = [v for v in replay.eyes.chart.column("loss") if v == v]
    classes = replay.eyes.chart.facts.get("classes")
    guess = math.log(classes) if classes and classes > 1 else sum(losses[:3]) / 3
    return len(losses) < 20 or sum(losses[-10:]) / 10 < 0.85 * guess


def _distances(x_B: Tensor) -> Tensor | None:
    flat = x_B.detach().cpu().double().flatten(1)
    d_BB = torch.cdist(flat, flat)
    upper = torch.triu_indices(len(flat), len(flat), 1)
    d = d_BB[upper[0], upper[1]]
    return d if bool(torch.isfinite(d).all()) and d.std() > 1e-9 * (d.mean() + 1e-30) else None


REPLAYS = {"received": received}
