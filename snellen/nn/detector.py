"""What the raw maps of a detector mean: the interface of a style of detection (YOLO v1..3, SSD).

A network gives raw maps; its style says which loss they are trained with, which boxes they mean,
and what they would be for a perfect answer. All boxes are in pixels of the network's input.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of one image; `ignored_N` are neither to be found nor missed.

    >>> import torch
    >>> Truth(torch.tensor([[0.0, 0, 4, 4], [2, 2, 2, 9]]), torch.tensor([1, 0])).sound().labels_N
    tensor([1])
    """

    boxes_N4: Tensor
    labels_N: Tensor
    ignored_N: Tensor | None = None

    def sound(self) -> "Truth":
        """Those to be learned: not ignored, with an area."""
        size_N2 = self.boxes_N4[:, 2:] - self.boxes_N4[:, :2]
        rows_N = (size_N2 > 0).all(1) & self.boxes_N4.isfinite().all(1)
        if self.ignored_N is not None:
            rows_N &= ~self.ignored_N
        return Truth(self.boxes_N4[rows_N], self.labels_N[rows_N])


@dataclass(frozen=True, eq=False)
class Found:
    """Candidates of one image, before suppression.

    >>> import torch
    >>> len(Found(torch.zeros(2, 4), torch.ones(2), torch.tensor([0, 1])).scores_N)
    2
    """

    boxes_N4: Tensor
    scores_N: Tensor
    labels_N: Tensor


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

    `size` is the network's input (H, W); `raw` is what the network gave for a batch.
    """

    name: ClassVar[str]

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
