"""R-CNN's judges (arXiv:1311.2524 sections 2.3 and C; note 003): for each class a linear SVM over
the features of a region says whether it is a thing of that class, and ridge regression moves its
box. Both are convex: the same data give the same judge.

As in the paper, things of a class are its true boxes alone, nothing of it is what overlaps each of
them by less than .3, whatever else it holds, and what lies between is not learned from; boxes are
moved from an overlap of .6 on, against long weights of 1000. Unlike there, all regions are learned
from at once, so no hard ones are mined; the SVM's hinge is squared, which is smooth; true boxes and
the rest weigh alike in all; features are standardised each, not scaled to a norm of 20.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .box_code import clip_boxes, decode_boxes, encode_boxes
from .detector import Found, Truth
from .iou import box_iou

RIDGE, LENGTH = 1000.0, 1e-3  # against long weights: of the regression, of the SVMs
STEPS = 60  # of L-BFGS
SAME, NEAR, FAR = 0.9999, 0.6, 0.3  # overlaps: a true box, one that is moved, nothing below


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
    features_ND: Tensor, boxes_N4: Tensor, match: tuple[Tensor, Tensor], *, classes: int
) -> Judge:
    """Features and boxes of regions, true boxes among them, and `match_classes` of them -> judges.

    >>> features = torch.tensor([[0.0, 1], [0, 2], [3, 0], [4, 0]])
    >>> boxes = torch.tensor([[0.0, 0, 8, 8]] * 2 + [[20.0, 0, 28, 8]] * 2)
    >>> match = match_classes(boxes, Truth(boxes[2:3], torch.tensor([0])), classes=1)
    >>> (fit_judge(features, boxes, match, classes=1).scores(features) > 0)[:, 0].tolist()
    [False, False, True, True]
    """
    overlap_NK, wanted_NK4 = match
    mean, scale = features_ND.mean(0), features_ND.std(0).clamp(min=1e-3)
    ready = _with_one((features_ND - mean) / scale)
    truth_NK = (overlap_NK >= SAME).float() - (overlap_NK < FAR).float()
    codes = torch.stack([
        _ridge(ready[rows], encode_boxes(wanted_NK4[rows, k], boxes_N4[rows]))
        for k in range(classes)
        for rows in [overlap_NK[:, k] >= NEAR]
    ])  # fmt: skip
    return Judge(mean, scale, _svms(ready, truth_NK), codes)


def match_classes(boxes_N4: Tensor, truth: Truth, *, classes: int) -> tuple[Tensor, Tensor]:
    """Regions of an image and its things -> for each class the overlap with the best thing of it,
    0 where there is none, and that thing's box: overlap_NK, wanted_NK4.

    >>> truth = Truth(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([1]))
    >>> overlap, wanted = match_classes(torch.tensor([[0.0, 0, 8, 4]]), truth, classes=2)
    >>> overlap.tolist(), wanted[0, 1].tolist()
    ([[0.0, 0.5]], [0.0, 0.0, 8.0, 8.0])
    """
    sound = truth.sound()
    things_M4 = torch.cat([sound.boxes_N4, boxes_N4.new_zeros(1, 4)])  # the last one is no thing
    mine_KM = sound.labels_N == torch.arange(classes, device=boxes_N4.device)[:, None]
    iou_NKM = box_iou(boxes_N4, sound.boxes_N4)[:, None] * mine_KM
    overlap_NK, best_NK = torch.cat([iou_NKM, iou_NKM.new_zeros(*iou_NKM.shape[:2], 1)], 2).max(2)
    return overlap_NK, things_M4[best_NK]


def _svms(ready_NE: Tensor, truth_NK: Tensor) -> Tensor:
    """An SVM for each class; truth_NK: 1 a thing, -1 nothing, 0 is not learned from."""
    weight = ready_NE.new_zeros(truth_NK.shape[1], ready_NE.shape[1], requires_grad=True)
    things_NK, rest_NK = truth_NK.clamp(min=0), (-truth_NK).clamp(min=0)
    share_NK = sum(one / one.sum(0).clamp(min=1) for one in (things_NK, rest_NK))
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
    held = ready_NE.new_full(ready_NE.shape[1:], RIDGE)
    held[-1] = 1e-3  # the constant may be as large as it wants
    return torch.linalg.solve(ready_NE.T @ ready_NE + held.diag(), ready_NE.T @ codes_N4)


def _with_one(values_ND: Tensor) -> Tensor:
    return torch.cat([values_ND, values_ND.new_ones(len(values_ND), 1)], 1)
