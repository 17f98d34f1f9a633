"""What the network received beside what the data set gives: are samples as far apart as they were?

Distances between samples survive any scaling, permutation or rotation, and a random crop in part;
noise that drowns the picture, and an eraser, leave nothing of them. Items are read again at the
end, with every generator put back.
"""

import math
import random
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from ..loader import tensors_of
from ._replay import Replay

LEAST, MOST, STEPS = 12, 32, 50
HOMES = ("dataset", "transform", "transforms")


def received(replay: Replay, net: nn.Module) -> dict[str, Any] | None:
    """The last batch kept -> how well its distances agree with those of its items, drawn anew."""
    x_B, record = replay.only_input(), replay.record
    if x_B is None or record is None or not replay.rows or not replay.last:
        return None
    if replay.size < LEAST or replay.eyes.step < STEPS or _learns(replay):
        return None
    rows = replay.rows[:MOST]
    kept = _generators(record.dataset)
    try:
        data = (record.collate or default_collate)([record.dataset[i] for i in rows])
    finally:
        for put_back in kept:
            put_back()
    given = tensors_of(data)
    if not given or not given[0][1].dim() or len(given[0][1]) != len(rows):
        return None
    here, there = _distances(x_B[: len(rows)]), _distances(given[0][1])
    if here is None or there is None:
        return None
    return {"agreement": torch.corrcoef(torch.stack([here, there]))[0, 1].item(),
            "samples": len(rows)}  # fmt: skip


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


def _generators(dataset: Any) -> list[Any]:
    """How to put back the generators that a data set and its transforms hold themselves."""
    found: list[Any] = []
    todo, seen = [dataset], set()
    while todo:
        home = todo.pop()
        if id(home) in seen or not hasattr(home, "__dict__"):
            continue
        seen.add(id(home))
        found += [put for value in vars(home).values() if (put := _putting(value)) is not None]
        todo += [vars(home)[name] for name in HOMES if name in vars(home)]
    return found


def _putting(value: Any) -> Any:
    """A generator -> the call that gives it its present state back; None for anything else."""
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return partial(setattr, bits, "state", bits.state)
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state())
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    return None


REPLAYS = {"received": received}
