"""Pictures of any shape into one input without bending them: scaled as a whole, padded to the right
and below. Detection, segmentation and key points measure in it; `back` leads to original pixels.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .inputs import Inputs, match_channels, resize


@dataclass(frozen=True)
class Letterbox:
    """How a picture of `old` (H, W) lies in an input of `new` (H, W).

    >>> box = Letterbox((480, 640), (320, 320))
    >>> box.inner
    (240, 320)
    >>> box.back(box.there(torch.tensor([[10.0, 20, 630, 470]]))).tolist()
    [[10.0, 20.0, 630.0, 470.0]]
    """

    old: tuple[int, int]
    new: tuple[int, int]

    @property
    def inner(self) -> tuple[int, int]:
        """H, W of the picture inside the input."""
        scale = min(self.new[0] / self.old[0], self.new[1] / self.old[1])
        return tuple(  # type: ignore[return-value]
            min(limit, max(1, round(side * scale)))
            for side, limit in zip(self.old, self.new, strict=True)
        )

    def there(self, points: Tensor) -> Tensor:
        """x, y (or x1, y1, x2, y2) of the picture -> of the input."""
        return points.float() * self._scale(points)

    def back(self, points: Tensor) -> Tensor:
        """x, y (or x1, y1, x2, y2) of the input -> of the picture, clipped to it."""
        height, width = self.old
        limit = torch.tensor([width, height], device=points.device).repeat(points.shape[-1] // 2)
        points = points.float() / self._scale(points)
        return torch.minimum(points.clamp(min=0), limit)

    def fit(self, image_CHW: Tensor, inputs: Inputs) -> Tensor:
        """image_CHW -> (channels, H, W) of the input, padded with the mean of its statistics: with
        what a network sees as 0 in every channel.
        """
        image_CHW = match_channels(image_CHW, inputs.channels)
        if self.inner != self.old:
            image_CHW = resize(image_CHW, *self.inner)
        if self.inner == self.new:
            return image_CHW
        whole = padding_level(inputs, image_CHW.dtype)[:, None, None].repeat(1, *self.new)
        whole[:, : self.inner[0], : self.inner[1]] = image_CHW
        return whole

    def pad(self, maps: Tensor, fill: float) -> Tensor:
        """Maps (.., inner) -> (.., new), `fill` to the right and below."""
        high, wide = (n - i for n, i in zip(self.new, self.inner, strict=True))
        return F.pad(maps, (0, wide, 0, high), value=round(fill)) if high or wide else maps

    def _scale(self, points: Tensor) -> Tensor:
        down, right = (i / o for i, o in zip(self.inner, self.old, strict=True))
        return torch.tensor([right, down], device=points.device).repeat(points.shape[-1] // 2)


def padding_level(inputs: Inputs, dtype: torch.dtype) -> Tensor:
    """What pads pictures of a type, level_C of it: the mean of the statistics.

    >>> padding_level(Inputs(1, 8, 8, (0.5,), (0.25,), "bytes"), torch.uint8)
    tensor([128], dtype=torch.uint8)
    """
    mean_C = torch.tensor(inputs.mean)
    return ((255 * mean_C).round() if dtype == torch.uint8 else mean_C).to(dtype)


def on_levels(inputs: Inputs) -> Inputs:
    """Inputs whose mean is one of the 256 levels of a byte: padding is prepared to 0, exactly.

    >>> on_levels(Inputs(1, 8, 8, (0.5,), (0.25,), "bytes")).mean == (128 / 255,)
    True
    """
    if inputs.pixels != "bytes":
        return inputs
    return replace(inputs, mean=tuple(round(255 * mean) / 255 for mean in inputs.mean))


def input_size(size: tuple[int, int], longer: int, multiple: int) -> tuple[int, int]:
    """H, W of pictures -> H, W of an input of this longer side, both rounded up to multiples.

    >>> input_size((480, 640), 320, 32), input_size((90, 120), 120, 32)
    ((256, 320), (96, 128))
    """
    scale = longer / max(size)
    up = [max(multiple, -(-round(side * scale) // multiple) * multiple) for side in size]
    return up[0], up[1]
