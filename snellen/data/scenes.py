"""Drawn scenes: one coloured shape on a textured ground, a pure function of (seed, index, look).

NumPy only, a fraction of a millisecond a scene; drawn again whenever asked for, so a set of any
size costs no disk. The truth about a scene is known exactly, which makes it a test oracle.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from .sample import Sample, Target
from .source import SampleSet

SHAPES = ("circle", "cross", "ring", "square", "star", "triangle")


@dataclass(frozen=True)
class Look:
    """What scenes look like: size in pixels, noise of the ground, how big the shape may be."""

    size: int = 32
    noise: float = 20.0  # standard deviation of the ground's texture, of 255
    smallest: float = 0.22  # the shape's radius over the picture's side
    largest: float = 0.38


class SceneSet(SampleSet):
    """`count` scenes of a seed; scene i shows shape i modulo the number of shapes.

    >>> scenes = SceneSet(0, 10)
    >>> scenes[3].image_CHW.shape, scenes[3].target.label
    (torch.Size([3, 32, 32]), 3)
    """

    def __init__(self, seed: int, count: int, look: Look | None = None) -> None:
        self.seed, self.count, self.look = seed, count, look or Look()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        pixels = draw_scene(self.seed, i, self.look)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return Sample(image, Target(label=i % len(SHAPES)), i)

    def labels(self) -> Tensor:
        """labels_N, known without drawing."""
        return torch.arange(self.count) % len(SHAPES)


def draw_scene(seed: int, index: int, look: Look) -> np.ndarray:
    """Seed, index, look -> pixels_HWC uint8, the same each time.

    >>> bool((draw_scene(1, 2, Look()) == draw_scene(1, 2, Look())).all())
    True
    """
    random = np.random.Generator(np.random.PCG64([seed, index]))
    side = look.size
    radius = side * (look.smallest + (look.largest - look.smallest) * random.random())
    centre = radius + (side - 2 * radius) * random.random(2)
    turn, (ground, ink) = random.random() * 2 * np.pi, _colours(random)
    cos, sin = np.cos(turn), np.sin(turn)
    rows, cols = _grid(side)
    x, y = (cols - centre[0]) / radius, (rows - centre[1]) / radius
    distance = OUTLINES[SHAPES[index % len(SHAPES)]](x * cos + y * sin, y * cos - x * sin)
    cover = np.clip(0.5 - distance * radius, 0, 1)[..., None]  # one pixel of soft edge
    texture = random.integers(-128, 128, (side, side, 1)) * (look.noise / 73.9)  # its deviation
    pixels = (ground + texture) * (1 - cover) + (ink + texture * 0.5) * cover
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres: rows_H1, columns_1W."""
    steps = np.arange(side) + 0.5
    return steps[:, None], steps[None, :]


def _colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours far enough apart to tell, neither of them saying which shape it is."""
    ground = random.integers(30, 226, 3).astype(np.float64)
    ink = random.integers(0, 256, 3).astype(np.float64)
    if np.abs(ink - ground).max() < 90:
        ink = (ground + 128) % 256
    return ground, ink


# Outlines: x, y in radii about the centre -> signed distance, negative inside. Exact or nearly so.


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y) - 1


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.sqrt(x * x + y * y) - 0.75) - 0.25


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.75


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 0.95, y - 0.28), np.maximum(y - 0.95, x - 0.28))


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    slant = np.sqrt(3) / 2
    return np.maximum.reduce([-y + 0 * x, slant * x + y / 2, -slant * x + y / 2]) - 0.5


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Five points: the distance to a point's side, folded into one tenth of the circle."""
    fifth = 2 * np.pi / 5
    angle = np.abs((np.arctan2(x, y) + fifth / 2) % fifth - fifth / 2)
    radius = np.sqrt(x * x + y * y)
    tip, notch = np.array([0.0, 1.0]), 0.4 * np.array([np.sin(fifth / 2), np.cos(fifth / 2)])
    side = (notch - tip) / np.linalg.norm(notch - tip)
    return (radius * np.sin(angle) - tip[0]) * -side[1] + (radius * np.cos(angle) - 1) * side[0]


OUTLINES = {
    "circle": _circle,
    "cross": _cross,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}
