"""What a detector's raw answer means: the interface of a style of detection (YOLO, SSD, R-CNN).

A network gives raw maps; its style says which loss they are trained with, which boxes they mean,
and what they would be for a perfect answer. All boxes are in pixels of the network's input.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from .assign import BACKGROUND, NEITHER, assign_by_iou
from .iou import box_iou


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of one image; `ignored_N` are neither to be found nor missed. `masks_NHW` are
    in the network's input, as the boxes are.

    >>> import torch
    >>> Truth(torch.tensor([[0.0, 0, 4, 4], [2, 2, 2, 9]]), torch.tensor([1, 0])).sound().labels_N
    tensor([1])
    """

    boxes_N4: Tensor
    labels_N: Tensor
    ignored_N: Tensor | None = None
    masks_NHW: Tensor | None = None

    def sound(self) -> "Truth":
        """Those to be learned: not ignored, with an area."""
        size_N2 = self.boxes_N4[:, 2:] - self.boxes_N4[:, :2]
        rows_N = (size_N2 > 0).all(1) & self.boxes_N4.isfinite().all(1)
        if self.ignored_N is not None:
            rows_N &= ~self.ignored_N
        masks_NHW = None if self.masks_NHW is None else self.masks_NHW[rows_N]
        return Truth(self.boxes_N4[rows_N], self.labels_N[rows_N], masks_NHW=masks_NHW)


@dataclass(frozen=True, eq=False)
class Found:
    """Candidates of one image, before suppression; `masks_NMM` are shares of the boxes' bins.

    >>> import torch
    >>> len(Found(torch.zeros(2, 4), torch.ones(2), torch.tensor([0, 1])).scores_N)
    2
    """

    boxes_N4: Tensor
    scores_N: Tensor
    labels_N: Tensor
    masks_NMM: Tensor | None = None


def matched(
    boxes_N4: Tensor,
    truth: Truth,
    ends: tuple[float, float],
    *,
    best_for_each: bool = True,
    own: bool = False,
) -> Tensor:
    """Reference boxes -> match_N of `assign_by_iou` into the sound objects of an image.

    `ends` are overlaps: a thing from the first on, nothing below the second. Background of which
    that share or more lies in what is to be ignored is neither: a crowd's box holds many things.

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [20, 0, 24, 4], [40, 0, 44, 4]])
    >>> truth = Truth(boxes[:2], torch.tensor([3, 3]), torch.tensor([False, True]))
    >>> matched(boxes, truth, (0.5, 0.5)).tolist()
    [0, -2, -1]
    """
    high, low = ends
    here_M4 = truth.sound().boxes_N4.float().to(boxes_N4.device)
    iou_NM = box_iou(boxes_N4, here_M4)
    match_N = assign_by_iou(iou_NM, high, low, best_for_each=best_for_each, own=own)
    if truth.ignored_N is not None and truth.ignored_N.any():
        ignored_M4 = truth.boxes_N4[truth.ignored_N].float().to(boxes_N4.device)
        near_N = box_iou(boxes_N4, ignored_M4, ignored_M4.new_ones(len(ignored_M4))).amax(1) >= low
        match_N[near_N & (match_N == BACKGROUND)] = NEITHER
    return match_N


def candidates(boxes_BN4: Tensor, scores_BNK: Tensor, least: float) -> list[Found]:
    """Boxes and their scores for each class -> the candidates of each image from `least` up.

    >>> import torch
    >>> candidates(torch.zeros(1, 2, 4), torch.tensor([[[0.9, 0.4], [0.1, 0.2]]]), 0.3)[0].labels_N
    tensor([0, 1])
    """
    found = []
    for boxes_N4, scores_NK in zip(boxes_BN4, scores_BNK, strict=True):
        row, label = (scores_NK >= least).nonzero(as_tuple=True)
        found.append(Found(boxes_N4[row], scores_NK[row, label], label))
    return found


class Style(ABC):
    """How a kind of detector asks for boxes. Frozen facts; plain JSON by `as_dict`.

    `size` is the network's input (H, W); `raw` is what the network gave for a batch. With `told`
    the network hears the truths while it learns, `net(x, truths)`: where it looks depends on them.
    """

    name: ClassVar[str]
    told: ClassVar[bool] = False

    @property
    def limits(self) -> tuple[float, float]:
        """The least score of a box that is told, and the overlap from which two boxes of a class
        tell the same thing. Scores of COCO gain from faint boxes too.
        """
        return 0.005, 0.6

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; `STYLES[name](**d)` is the same again."""

    @abstractmethod
    def loss(self, raw: Any, truths: Sequence[Truth], size: tuple[int, int]) -> dict[str, Tensor]:
        """Named parts whose sum is minimised, means over the images."""

    @abstractmethod
    def decode(self, raw: Any, size: tuple[int, int], least: float) -> list[Found]:
        """Raw -> the candidates of each image that score at least `least`."""

    @abstractmethod
    def oracle(self, truths: Sequence[Truth], size: tuple[int, int]) -> Any:
        """The raw maps of a perfect network."""
