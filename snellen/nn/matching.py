"""Who belongs to whom: the best pairs of two sets, and people out of pairs of joints.

OpenPose (arXiv:1611.08050 section 2.4): each limb is matched on its own, which is optimal for the
limb; the limbs that share a joint candidate then make a person.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.parts import Part

PARTS = {
    "Optimal matching of limbs": Part(
        "Detection and segmentation", "sn.nn.best_pairs, sn.nn.joined",
        "each limb's candidates paired for the largest sum; pairs that share a joint are a person",
        "001",
    )
}  # fmt: skip


def best_pairs(scores_AB: Tensor, least: float = 0.0) -> tuple[Tensor, Tensor]:
    """scores_AB -> rows_P, columns_P: no row or column twice, each pair above `least`.

    Of all such pairings the one whose scores less `least` have the largest sum (Hungarian method).
    A pair whose score is not a number is none.

    >>> rows, columns = best_pairs(torch.tensor([[0.9, 0.8], [0.8, 0.1]]))
    >>> list(zip(rows.tolist(), columns.tolist()))
    [(0, 1), (1, 0)]
    """
    from scipy.optimize import linear_sum_assignment

    gain_AB = (scores_AB.detach().double().cpu() - least).nan_to_num(0.0, posinf=0.0).clamp(min=0)
    rows, columns = map(torch.from_numpy, linear_sum_assignment(gain_AB.numpy(), maximize=True))
    is_gain = gain_AB[rows, columns] > 0
    return rows[is_gain], columns[is_gain]


Limb = tuple[float, int, int]  # score, and the two candidates that it joins


def joined(kinds: Sequence[int], limbs: Sequence[Limb]) -> list[tuple[dict[int, int], float]]:
    """The joint that each candidate is one of, limbs between candidates -> people, each as
    {joint: candidate} and the sum of its limbs' scores; a candidate without a limb stands alone.

    The surest limb comes first; one that would give a person two of a joint is left out.

    >>> joined([0, 0, 1, 2], [(0.5, 0, 2), (0.75, 2, 3)])
    [({0: 0, 1: 2, 2: 3}, 1.25), ({0: 1}, 0.0)]
    """
    people = [({kind: i}, 0.0) for i, kind in enumerate(kinds)]
    home = list(range(len(people)))  # candidate -> the place of its person
    for score, one, other in sorted(limbs, reverse=True):
        here, there = sorted((home[one], home[other]))
        (mine, sum_mine), (yours, sum_yours) = people[here], people[there]
        if here == there:
            people[here] = (mine, sum_mine + score)
        elif not mine.keys() & yours.keys():
            people[here] = ({**mine, **yours}, sum_mine + sum_yours + score)
            people[there] = ({}, 0.0)
            for candidate in yours.values():
                home[candidate] = here
    return [person for person in people if person[0]]
