"""Down-sampling: what is finer than the new pixels must go first, or it comes back wrong.

A zone plate has waves that get finer from the middle out. Of 256 pixels a side 64 are left: every
fourth pixel, the largest of 4 x 4 (max pooling), and a smooth mean (`antialias=True`, as Snellen
resizes). Outside the ring the waves are too fine for the new pixels, and grey would be right; rings
that stand there are false.

Notes 001, 004: down-sampling loses features.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _paper
from ._paper import ORANGE

ORDER = 90
SIDE, FACTOR = 256, 4


@dataclass(frozen=True)
class Reduced:
    """A smaller picture in [-1, 1], and how far from grey it is where it should be grey."""

    picture_HW: Tensor
    false: float


def plate(side: int = SIDE) -> Tensor:
    """picture_HW in [-1, 1]: cos(pi r^2 / side), a wave of r / side periods a pixel at radius r."""
    x_W = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    return torch.cos(torch.pi * (x_W[:, None] ** 2 + x_W**2) / side)


def measure(side: int = SIDE) -> dict[str, Reduced]:
    """The plate, and the three smaller ones."""
    whole_11HW = plate(side)[None, None]
    small = side // FACTOR
    made = {
        "256 x 256": whole_11HW,
        "every fourth pixel": F.interpolate(whole_11HW, (small, small), mode="nearest"),
        "max pooling, 4 x 4": F.max_pool2d(whole_11HW, FACTOR),
        "antialiased": F.interpolate(
            whole_11HW, (small, small), mode="bilinear", align_corners=False, antialias=True
        ),
    }
    return {name: Reduced(x[0, 0], _false(x[0, 0])) for name, x in made.items()}


def _false(picture_HW: Tensor) -> float:
    """Root mean square of all well beyond the ring; grey is 0."""
    across_W = (torch.arange(len(picture_HW)) + 0.5) / len(picture_HW) - 0.5
    radius_HW = (across_W[:, None] ** 2 + across_W**2).sqrt()
    return float(picture_HW[radius_HW > 1.25 * ring()].square().mean().sqrt())


def ring() -> float:
    """The radius, over the side, at which a period is two of the new pixels."""
    return 1 / (2 * FACTOR)


def draw(found: dict[str, Reduced]) -> Any:
    """Four pictures; the ring is where the waves become too fine."""
    from matplotlib.patches import Circle

    drawn, axes = _paper.sheet(2.5, 1, len(found))
    for ax, (name, one) in zip(axes[0], found.items(), strict=True):
        _paper.empty(ax, name)
        window = (-0.5, 0.5, -0.5, 0.5)
        ax.imshow(one.picture_HW.numpy(), cmap="gray", vmin=-1, vmax=1, extent=window,
                  interpolation="nearest")  # fmt: skip
        ax.add_patch(Circle((0, 0), ring(), fill=False, color=ORANGE, linewidth=1.6))
        words = f"off grey: {one.false:.2f}"
        _paper.say(ax, (0.0, -0.04), words, inside=True, va="top")
    return drawn


def caption(found: dict[str, Reduced]) -> str:
    """How far from grey each is."""
    false = {name: one.false for name, one in found.items()}
    return (
        "Beyond the ring, where grey (0 of -1 to 1) would be right, every fourth pixel is off by "
        f"{false['every fourth pixel']:.2f} (root mean square), as much as the plate itself, max "
        f"pooling by {false['max pooling, 4 x 4']:.2f}, the antialiased mean by "
        f"{false['antialiased']:.2f}."
    )
