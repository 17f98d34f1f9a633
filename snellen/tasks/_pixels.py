"""Scores of semantic maps, from one confusion matrix over all pixels of the data set."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import DataError
from ..data.ground import is_ground
from ..data.sample import Prediction, Target
from .task import Metric


class PixelScores(Metric):
    """Counts pixels by true and said class; those without a known class are left out.

    Counted over the data set and not image by image: an image that lacks a class says nothing of
    it. `counts_KK` has a row for each true class.

    >>> scores = PixelScores(["ground", "cat"])
    >>> said, true = torch.tensor([[0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 255]])
    >>> scores.update([Prediction(semantic_HW=said)], [Target(semantic_HW=true)])
    >>> scores.counts_KK.tolist()
    [[1, 1], [0, 1]]
    >>> scores.compute()["mIoU"], scores.compute()["Dice"]
    (0.5, 0.6666666666666666)
    """

    counts_KK: Tensor

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.counts_KK = torch.zeros(len(classes), len(classes), dtype=torch.int64)

    @property
    def has_truths(self) -> bool:
        """Whether any pixel had a class."""
        return bool(self.counts_KK.any())

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch; raises DataError where a prediction has another size than its truth."""
        count = len(self.classes)
        for said, target in zip(predictions, targets, strict=True):
            true_HW, said_HW = target.semantic_HW, said.semantic_HW
            if true_HW is None or said_HW is None:
                continue
            if true_HW.shape != said_HW.shape:
                raise DataError(f"a map of {tuple(said_HW.shape)} pixels was said where "
                                f"{tuple(true_HW.shape)} are true")  # fmt: skip
            known = (true_HW >= 0) & (true_HW < count)
            pairs = true_HW[known].long() * count + said_HW[known].long()
            self.counts_KK += pairs.bincount(minlength=count * count).view(count, count)

    def compute(self) -> dict[str, float]:
        """mIoU and Dice (both means over the classes that occur or were said, Dice without a
        ground where the data have one), accuracy of pixels, and the IoU of each class.
        """
        hits_K = self.counts_KK.diag().double()
        true_K, said_K = (self.counts_KK.sum(axis).double() for axis in (1, 0))
        there_K = true_K + said_K > 0
        iou_K = hits_K / (true_K + said_K - hits_K).clamp(min=1)
        dice_K = 2 * hits_K / (true_K + said_K).clamp(min=1)
        things_K = there_K & torch.tensor([not is_ground(name) for name in self.classes])
        scores = {
            "mIoU": _mean(iou_K[there_K]),
            "Dice": _mean(dice_K[things_K if things_K.any() else there_K]),
            "accuracy": float(hits_K.sum() / true_K.sum().clamp(min=1)),
        }
        ious = zip(self.classes, iou_K.tolist(), there_K.tolist(), strict=True)
        return scores | {f"IoU/{name}": iou for name, iou, there in ious if there}


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else 0.0
