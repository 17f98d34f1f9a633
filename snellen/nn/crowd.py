"""People of an image, and what a network's raw answer says of them: the interface of a style of
pose (OpenPose bottom-up, Mask R-CNN top-down).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Crowd:
    """The people of one image in pixels of the input: joints, which of them are there (or were
    found), a score each, and boxes. `unknown_U4` are boxes around people whose joints nobody
    labelled.

    >>> import torch
    >>> len(Crowd(torch.zeros(2, 14, 2), torch.ones(2, 14)).points_NK2)
    2
    """

    points_NK2: Tensor
    seen_NK: Tensor
    scores_N: Tensor | None = None
    unknown_U4: Tensor | None = None
    boxes_N4: Tensor | None = None


class PoseStyle(ABC):
    """How a kind of network tells people. Frozen facts; `size` is its input (H, W), `raw` what it
    gave for a batch. With `told` it hears where people are while it learns, `net(x, heard)`.
    """

    told: ClassVar[bool] = False

    def beyond(self, crowd: Crowd) -> Tensor:
        """How far off each labelled joint is that cannot be told; empty where all can be."""
        return crowd.points_NK2.new_zeros(0)

    def heard(self, truths: Sequence[Crowd]) -> Any:
        """What a network that is told hears."""
        return truths

    @abstractmethod
    def loss(self, raw: Any, truths: Sequence[Crowd], size: tuple[int, int]) -> dict[str, Tensor]:
        """Named parts whose sum is minimised."""

    @abstractmethod
    def decode(self, raw: Any, size: tuple[int, int]) -> list[Crowd]:
        """Raw -> the people of each image."""

    @abstractmethod
    def firmest(self, raw: Any) -> Tensor:
        """Raw -> scores_BK: of each joint the highest value anywhere, with its gradient."""

    @abstractmethod
    def oracle(self, truths: Sequence[Crowd], size: tuple[int, int]) -> Any:
        """The raw answer of a perfect network."""
