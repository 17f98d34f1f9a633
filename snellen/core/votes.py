"""What the other samples say of each sample's label: kernel ridge regression, leave-one-out.

Its answer for a sample never saw that sample's label, so it can contradict it. Pictures are
described by histograms of gradient directions (Dalal and Triggs 2005).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

CELL, BINS, RIDGE = 4, 9, 0.1


def describe(thumbs_NHW: Tensor) -> Tensor:
    """thumbs_NHW -> histograms of gradient directions in cells of 4 x 4, features_ND.

    >>> describe(torch.rand(2, 32, 32)).shape
    torch.Size([2, 576])
    """
    x = F.pad(thumbs_NHW.float()[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across, down = x[:, 1:-1, 2:] - x[:, 1:-1, :-2], x[:, 2:, 1:-1] - x[:, :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt()
    turn = (torch.atan2(down, across) % torch.pi) * (BINS / torch.pi)
    low = turn.floor().long() % BINS
    share = turn - turn.floor()
    bins = torch.zeros(len(x), BINS, *strength.shape[1:])
    bins.scatter_(1, low[:, None], (strength * (1 - share))[:, None])
    bins.scatter_add_(1, ((low + 1) % BINS)[:, None], (strength * share)[:, None])
    cells = F.avg_pool2d(bins, CELL).flatten(1)
    return (cells / cells.sum(1, keepdim=True).clamp(min=1e-6)).sqrt()


def leave_one_out(features_ND: Tensor, labels_N: Tensor, num_classes: int) -> Tensor:
    """features_ND, labels_N -> votes_NK: what the others say of each sample.

    Gaussian kernel, width the median distance. Of y fitted with C = (K + ridge I)^-1, the fit
    without sample i answers y_i - (C y)_i / C_ii there.

    >>> x = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    >>> leave_one_out(x, torch.tensor([0, 0, 0, 1, 1, 1]), 2).argmax(1).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    square = torch.cdist(features_ND, features_ND).square()
    kernel = torch.exp(-square / square.median().clamp(min=1e-12))
    inverse = torch.linalg.inv(kernel + RIDGE * torch.eye(len(kernel)))
    y_NK = F.one_hot(labels_N, num_classes).float()
    return y_NK - (inverse @ y_NK) / inverse.diagonal()[:, None]
