"""Whether labels belong to their samples: what each sample's likenesses say of its label."""

import time
from typing import Any

import torch
from torch import Tensor

from ...core.patience import patience
from ...core.votes import DOUBT, contradiction, describe, twice
from ._case import Case, paths
from ._part import Part

GROUP, GROUPS = 1000, 4  # samples judged together, and how many such groups
FEWEST, LEAST = 5, 150  # of a class, and of all
STRONG = 0.7  # vote for another class over that for the given one
# Where most contradictions are strong (noise on a set that is easy to read) those above DOUBT are
# wrong in 0.97 of the cases, elsewhere those above STRONG in 0.9.
CLEAR = 0.25
NOISY = 0.02  # strong contradictions, of all
SHOWN = 1000  # suspects in a finding; its message says how many there are


def look(case: Case) -> dict[str, Any] | None:
    """The training part -> how often the votes agree, and whom they contradict most."""
    train = case.parts.get("train")
    if train is None or train.labels_N is None or train.is_indices:
        return None
    places = usable(train)
    if len(places) < LEAST or len(train.labels_N[places].unique()) < 2:
        return None
    first_NK, second_NK, places = votes(train, places, case.seconds)
    kinds, labels = train.labels_N.unique(return_inverse=True)
    labels = labels[places]
    right = (first_NK.argmax(1) == labels).float().mean().item()
    chance = (labels.bincount().max() / len(labels)).item()
    margin, _ = contradiction(first_NK, labels)
    strong, against = int((margin > STRONG).sum()), int((margin > 0).sum())
    margin, voted = contradiction(second_NK, labels)
    order = margin.argsort(descending=True)
    order = order[margin[order] > (DOUBT if strong > CLEAR * against else STRONG)]
    found, order = len(order), order[:SHOWN]
    return {
        "right": right, "chance": chance, "count": len(labels), "classes": len(kinds),
        "total": train.total, "strong": strong, "against": against, "found": found,
        "suspects": train.rows_N[places[order]].tolist(),
        "paths": paths(train, places[order].tolist()),
        "given": kinds[labels[order]].tolist(), "voted": kinds[voted[order]].tolist(),
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
    """Places -> votes_NK of all, votes_NK of the trusted, and the places that were judged."""
    assert part.labels_N is not None
    _, labels = part.labels_N.unique(return_inverse=True)
    draw = torch.Generator().manual_seed(0)
    places = places[torch.randperm(len(places), generator=draw)[: GROUP * GROUPS]]
    end, found, done = time.monotonic() + patience(seconds), [], []
    for group in places.tensor_split(-(-len(places) // GROUP)):
        found.append(twice(features(part, group), labels[group], int(labels.max()) + 1))
        done.append(group)
        if time.monotonic() > end and not _stands_out(found, labels[torch.cat(done)]):
            break
    first, second = (torch.cat(parts) for parts in zip(*found, strict=True))
    return first, second, torch.cat(done)


def _stands_out(found: list[tuple[Tensor, Tensor]], labels: Tensor) -> bool:
    """Whether there is noise, so that the rest is worth more time than was given."""
    margin, _ = contradiction(torch.cat([first for first, _ in found]), labels)
    strong, against = int((margin > STRONG).sum()), int((margin > 0).sum())
    return strong > NOISY * len(labels) and strong > CLEAR * against


def features(part: Part, places: Tensor) -> Tensor:
    """Pictures by their gradients, other samples by their values, each column to spread 1."""
    if part.gray_NHW is not None:
        return describe(part.gray_NHW[places])
    x = part.thumbs_ND[places]
    if x.shape[1] >= 64:  # pictures and spectra: one scale for all
        return (x - x.mean(0)) / x.std().clamp(min=1e-6)
    return (x - x.mean(0)) / x.std(0).clamp(min=1e-6)


EXAMS = {"votes": (("quick", "full", "after"), look)}
