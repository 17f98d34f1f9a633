"""R-CNN's judges (arXiv:1311.2524 sections 2.3 and C; note 003): for each class a linear SVM over
the features of a region says whether it is a thing of that class, and ridge regression moves its
box. Both are convex: the same data give the same judge.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .box_code import clip_boxes, decode_boxes, encode_boxes
from .detector import Found

RIDGE, LENGTH = 100.0, 1e-3  # against long weights: of the regression, of the SVMs
STEPS = 60  # of L-BFGS
NEAR = 0.6  # overlap from which a region teaches how to move its box


@dataclass(frozen=True, eq=False)
class Judge:
    """Weights for standardised features: of K SVMs, and of K regressions of a box's code."""

    mean_D: Tensor
    scale_D: Tensor
    svm_KE: Tensor  # E is D and a constant
    code_KE4: Tensor

    def scores(self, features_ND: Tensor) -> Tensor:
        """features_ND -> scores_NK: above 0 a thing of the class, from 1 on surely."""
        return self._ready(features_ND) @ self.svm_KE.T

    def find(
        self, features_ND: Tensor, boxes_N4: Tensor, size: tuple[int, int], *, least: float
    ) -> Found:
        """Features and boxes of an image's regions -> what is there, before suppression.

        The score is the logistic of the SVM's, so that it lies between 0 and 1.
        """
        scores_NK = self.scores(features_ND).sigmoid()
        row, label = (scores_NK >= least).nonzero(as_tuple=True)
        codes = torch.einsum("ne,nec->nc", self._ready(features_ND)[row], self.code_KE4[label])
        moved = clip_boxes(decode_boxes(codes, boxes_N4[row]), size)
        return Found(moved, scores_NK[row, label], label)

    def _ready(self, features_ND: Tensor) -> Tensor:
        return _with_one((features_ND - self.mean_D) / self.scale_D)


def fit_judge(
    features_ND: Tensor, boxes_N4: Tensor, match: tuple[Tensor, Tensor, Tensor], *, classes: int
) -> Judge:
    """Features and boxes of regions, and of each the best object (overlap_N, label_N, box_N4).

    From half an overlap on a region is of the object's class, below .3 of none, between it is not
    learned from.

    >>> features = torch.tensor([[0.0, 1], [0, 2], [3, 0], [4, 0]])
    >>> boxes = torch.tensor([[0.0, 0, 8, 8]] * 4)
    >>> match = torch.tensor([0.0, 0, 1, 1]), torch.zeros(4).long(), boxes + 1
    >>> (fit_judge(features, boxes, match, classes=1).scores(features) > 0)[:, 0].tolist()
    [False, False, True, True]
    """
    overlap_N, label_N, wanted_N4 = match
    mean, scale = features_ND.mean(0), features_ND.std(0).clamp(min=1e-3)
    ready = _with_one((features_ND - mean) / scale)
    learned = (overlap_N >= 0.5) | (overlap_N < 0.3)
    truth_NK = torch.full((len(ready), classes), -1.0)
    rows = (overlap_N >= 0.5).nonzero()[:, 0]
    truth_NK[rows, label_N[rows]] = 1.0
    svm_KE = _svms(ready[learned], truth_NK[learned])
    codes = torch.stack([
        _ridge(ready[rows], encode_boxes(wanted_N4[rows], boxes_N4[rows]))
        for k in range(classes)
        for rows in [(label_N == k) & (overlap_N >= NEAR)]
    ])  # fmt: skip
    return Judge(mean, scale, svm_KE, codes)


def _svms(ready_NE: Tensor, truth_NK: Tensor) -> Tensor:
    """One against the rest: squared hinge, things and nothing weighed alike."""
    weight = torch.zeros(truth_NK.shape[1], ready_NE.shape[1], requires_grad=True)
    share_NK = torch.where(truth_NK > 0, 1 / (truth_NK > 0).sum(0).clamp(min=1),
                           1 / (truth_NK < 0).sum(0).clamp(min=1))  # fmt: skip
    solver = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        solver.zero_grad()
        miss = (1 - truth_NK * (ready_NE @ weight.T)).clamp(min=0).square()
        loss = (share_NK * miss).sum() + LENGTH * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(cost)
    return weight.detach()


def _ridge(ready_NE: Tensor, codes_N4: Tensor) -> Tensor:
    """Weights (E, 4) of least squares that stay short; zeros where nothing is to be learned."""
    held = torch.full((ready_NE.shape[1],), RIDGE)
    held[-1] = 1e-3  # the constant may be as large as it wants
    return torch.linalg.solve(ready_NE.T @ ready_NE + held.diag(), ready_NE.T @ codes_N4)


def _with_one(values_ND: Tensor) -> Tensor:
    return torch.cat([values_ND, values_ND.new_ones(len(values_ND), 1)], 1)
