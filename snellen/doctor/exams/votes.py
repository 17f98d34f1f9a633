"""Whether labels belong to their samples: what each sample's likenesses say of its label."""

import time
from typing import Any

import torch
from torch import Tensor

from ...core.votes import describe, leave_one_out
from ._case import Case, paths
from ._part import Part

GROUP, GROUPS = 1000, 4  # samples judged together, and how many such groups
FEWEST, LEAST = 5, 150  # of a class, and of all
MARGIN, STRONG = 0.2, 0.7  # vote for another class over that for the given one
SHOWN = 200


def look(case: Case) -> dict[str, Any] | None:
    """The training part -> how often the votes agree, and whom they contradict most."""
    train = case.parts.get("train")
    if train is None or train.labels_N is None or train.is_indices:
        return None
    places = usable(train)
    if len(places) < LEAST or len(train.labels_N[places].unique()) < 2:
        return None
    votes_NK, places, labels = votes(train, places, case.seconds)
    right = (votes_NK.argmax(1) == labels).float().mean().item()
    chance = (labels.bincount().max() / len(labels)).item()
    every = torch.arange(len(labels))
    others = votes_NK.clone()
    others[every, labels] = -torch.inf
    margin = others.max(1).values - votes_NK[every, labels]
    order = margin.argsort(descending=True)
    order = order[margin[order] > MARGIN][:SHOWN]
    kinds = train.labels_N.unique()
    return {
        "right": right, "chance": chance, "count": len(labels), "classes": len(kinds),
        "strong": int((margin > STRONG).sum()), "against": int((margin > 0).sum()),
        "suspects": train.rows_N[places[order]].tolist(),
        "paths": paths(train, places[order].tolist()),
        "given": kinds[labels[order]].tolist(), "voted": kinds[others[order].argmax(1)].tolist(),
        "margins": [round(m, 3) for m in margin[order].tolist()],
    }  # fmt: skip


def usable(part: Part) -> Tensor:
    """Places of samples of well-known classes that are no exact copies and show something."""
    assert part.labels_N is not None
    _, back, counts = part.labels_N.unique(return_inverse=True, return_counts=True)
    times: dict[bytes, int] = {}
    for digest in part.digests:
        times[digest] = times.get(digest, 0) + 1
    single = torch.tensor([times[digest] == 1 for digest in part.digests])
    shows = part.thumbs_ND.amax(1) > part.thumbs_ND.amin(1)
    if part.thumbs_ND.shape[1] == 1:
        shows = torch.ones_like(shows)
    return ((counts[back] >= FEWEST) & single & shows).nonzero().flatten()


def votes(part: Part, places: Tensor, seconds: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places -> votes_NK, the places that were judged, and their labels as 0..K-1."""
    assert part.labels_N is not None
    _, labels = part.labels_N.unique(return_inverse=True)
    draw = torch.Generator().manual_seed(0)
    places = places[torch.randperm(len(places), generator=draw)[: GROUP * GROUPS]]
    end, found, done = time.monotonic() + seconds, [], []
    for group in places.tensor_split(-(-len(places) // GROUP)):
        found.append(leave_one_out(features(part, group), labels[group], int(labels.max()) + 1))
        done.append(group)
        if time.monotonic() > end:
            break
    places = torch.cat(done)
    return torch.cat(found), places, labels[places]


def features(part: Part, places: Tensor) -> Tensor:
    """Pictures by their gradients, other samples by their values, each column to spread 1."""
    if part.gray_NHW is not None:
        return describe(part.gray_NHW[places])
    x = part.thumbs_ND[places]
    if x.shape[1] >= 64:  # pictures and spectra: one scale for all
        return (x - x.mean(0)) / x.std().clamp(min=1e-6)
    return (x - x.mean(0)) / x.std(0).clamp(min=1e-6)


EXAMS = {"votes": (("quick", "full", "after"), look)}
