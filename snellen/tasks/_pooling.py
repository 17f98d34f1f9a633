"""Means of several networks' probabilities, said as the raw numbers that a task decodes.

Notes 003: an ensemble averages what its members predict. -log is convex, so by Jensen the
cross-entropy of the mean is at most the mean of the cross-entropies, sample by sample.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .heads import full


def mean_of_shares(outs: Sequence[Tensor]) -> Tensor:
    """logits_BK (or BK...) of each network -> logits whose softmax is the mean of theirs.

    >>> sure, other = torch.tensor([[9.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
    >>> mean_of_shares([sure, other]).softmax(1)
    tensor([[0.7000, 0.3000]])
    """
    return _log_mean([F.log_softmax(full(out), 1) for out in outs])


def mean_of_odds(outs: Sequence[Tensor]) -> Tensor:
    """scores_BA of each network -> scores whose sigmoid is the mean of theirs.

    >>> mean_of_odds([torch.tensor([[0.9]]).logit(), torch.tensor([[0.5]]).logit()]).sigmoid()
    tensor([[0.7000]])
    """
    yes, no = (_log_mean([F.logsigmoid(sign * full(out)) for out in outs]) for sign in (1, -1))
    return yes - no


def _log_mean(logs: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(logs)).logsumexp(0) - math.log(len(logs))
