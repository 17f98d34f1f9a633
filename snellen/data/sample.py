"""Sample, Target, Prediction: the only things that transforms, metrics and drawing know.

All geometry is in pixels of the original image; boxes are x1, y1, x2, y2, half-open, so that a
box's width is x2 - x1 and the whole image is (0, 0, W, H).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

VOID = 255  # in semantic_HW: a pixel of no class
DROPPED = "dropped_B"  # in Batch.y: how many things augmentation moved out of each picture


@dataclass(frozen=True)
class Skeleton:
    """The joints of a kind of body: names, bones as pairs, and what a joint is in a mirror.

    >>> Skeleton(("left", "right"), ((0, 1),), (1, 0)).mirror
    (1, 0)
    """

    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = ()
    mirror: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Target:
    """What is true of an image; a field that a task does not need stays None."""

    label: int | None = None  # one class
    labels: Tensor | None = None  # labels_N, a class for each box or mask
    boxes_N4: Tensor | None = None  # float, xyxy, half-open
    ignored_N: Tensor | None = None  # bool: neither to be found nor missed (crowds, difficult)
    areas_N: Tensor | None = None  # float, as the data say them, NaN where they do not
    masks_NHW: Tensor | None = None  # bool, one a thing
    semantic_HW: Tensor | None = None  # int64, a class for each pixel, VOID where none
    identities_N: Tensor | None = None  # int64, of each thing: the same in all frames of a video
    keypoints_NK2: Tensor | None = None  # float x, y
    visibility_NK: Tensor | None = None  # 0 not labelled, 1 hidden, 2 visible
    mirror_K: Tensor | None = None  # int64: what a key point is in a mirror, left hand -> right
    attributes_A: Tensor | None = None  # float 0/1, several can hold at once
    values_V: Tensor | None = None  # float, numbers to be told
    text: str | None = None
    identity: int | None = None  # the same person or object across images
    image_CHW: Tensor | None = None  # a picture as the answer: super-resolution, enhancement

    def given(self) -> dict[str, Any]:
        """The fields that are set.

        >>> Target(label=3).given()
        {'label': 3}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Prediction(Target):
    """What a network says of an image: a target with scores.

    `score` belongs to `label`; `scores_K` are the probabilities of all classes; `scores_N` belong
    to the boxes, masks or people.
    """

    score: float | None = None
    scores_K: Tensor | None = None
    scores_N: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """An image and what is true of it. `image_CHW` is uint8, or float as the user gave it.

    >>> Sample(torch.zeros(1, 8, 6, dtype=torch.uint8), Target(label=3)).size
    (8, 6)
    """

    image_CHW: Tensor
    target: Target
    index: int = 0  # the row in the innermost data set
    path: str | None = None
    original: tuple[int, int] | None = None  # H, W, where the image was brought to another size

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture itself."""
        return self.original or (self.image_CHW.shape[-2], self.image_CHW.shape[-1])


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples made ready for a network: x_BCHW still uint8 (or the user's float), y by name."""

    x: Tensor
    y: dict[str, Any]
    index_B: Tensor  # rows of the sample set
    sizes_B2: Tensor  # original H, W: `decode` undoes the resize with it
    targets: list[Target] | None = None  # what is true, as the data set says it; for metrics
    step: int = 0  # of the training; augmentations that change with time go by it
    is_ready: bool = False  # x is float and standardised, as the network is fed it
    extent_B4: Tensor | None = None  # x1, y1, x2, y2 of each picture in x; None if it fills it

    def __len__(self) -> int:
        return len(self.x)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, for deciding what fits in memory; targets where they are held."""
        targets = [target.given() for target in self.targets or ()]
        held = (self.x, self.y, self.index_B, self.sizes_B2, targets, self.extent_B4)
        return sum(tensor.nbytes for tensor in _tensors(held))

    def select(self, rows: Tensor) -> "Batch":
        """The rows of a batch, without targets: how an encoded data set is dealt into steps."""
        y = {name: pick(value, rows) for name, value in self.y.items()}
        x, index_B, sizes_B2 = (pick(v, rows) for v in (self.x, self.index_B, self.sizes_B2))
        extent_B4 = None if self.extent_B4 is None else pick(self.extent_B4, rows)
        return Batch(x, y, index_B, sizes_B2, extent_B4=extent_B4)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device, copied without waiting where the memory is pinned."""
        return replace(self, x=_moved(self.x, device), y=_moved(self.y, device))


def _moved(value: Any, device: torch.device) -> Any:
    """A tensor, or nested dicts, lists and tuples of tensors, on another device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {name: _moved(inner, device) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_moved(inner, device) for inner in value])
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def pick(value: Any, rows: Tensor) -> Any:
    """Rows of a tensor or of a list.

    >>> pick(["a", "b", "c"], torch.tensor([2, 0]))
    ['c', 'a']
    """
    if isinstance(value, Tensor):
        return value.index_select(0, rows.to(value.device, non_blocking=rows.is_cpu))
    return [value[i] for i in rows.tolist()]
