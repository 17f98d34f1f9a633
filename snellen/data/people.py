"""Stick people: fourteen joints, facing the viewer, any pose; drawn in NumPy.

They face the viewer, so a person's left is on the picture's right: a mirrored picture shows
another person, whose left and right joints are swapped.
"""

import math
from dataclasses import dataclass

import numpy as np

JOINTS = (
    "head", "neck",
    "right shoulder", "right elbow", "right wrist",
    "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle",
    "left hip", "left knee", "left ankle",
)  # fmt: skip
LIMBS = (  # pairs of joints
    (0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7),
    (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
)  # fmt: skip
MIRROR = tuple(
    JOINTS.index(name.replace("left", "*").replace("right", "left").replace("*", "right"))
    for name in JOINTS
)


@dataclass(frozen=True, eq=False)
class Person:
    """joints_K2 x, y in pixels, in the order of JOINTS."""

    joints_K2: np.ndarray


def draw_person(
    random: np.random.Generator, size: tuple[int, int], centre: np.ndarray, radius: float
) -> tuple[Person, np.ndarray]:
    """A person of height about 2 x radius around centre -> it and cover_HW, a share of each pixel.

    >>> random = np.random.Generator(np.random.PCG64(0))
    >>> person, cover_HW = draw_person(random, (64, 48), np.array([24.0, 32.0]), 20.0)
    >>> person.joints_K2.shape, cover_HW.shape
    ((14, 2), (64, 48))
    """
    joints = centre + radius * pose_of(random)
    return Person(joints), figure(joints, size, radius)


def figure(joints_K2: np.ndarray, size: tuple[int, int], radius: float) -> np.ndarray:
    """Joints in pixels -> cover_HW of a person of that radius.

    >>> bool(figure(np.full((14, 2), 8.5), (16, 16), 5.0)[8, 8] == 1)
    True
    """
    distance = np.full(size, np.inf)
    _draw_line(distance, joints_K2[[0, 0]], 0.2 * radius)
    for limb in LIMBS:
        _draw_line(distance, joints_K2[list(limb)], max(1.0, 0.09 * radius))
    return np.clip(0.5 - distance, 0, 1)


def _draw_line(distance_HW: np.ndarray, ends_22: np.ndarray, thick: float) -> None:
    """Lower the distances around a line to those from its rim; further off than a pixel they may
    stay, since nothing is drawn there.
    """
    x, y = (
        slice(
            min(max(math.floor(min(ends) - thick - 1), 0), extent),
            min(max(math.ceil(max(ends) + thick + 1), 0), extent),
        )
        for ends, extent in zip(ends_22.T.tolist(), distance_HW.shape[::-1], strict=True)
    )
    near = distance_HW[y, x]
    cols, rows = np.arange(x.start, x.stop) + 0.5, np.arange(y.start, y.stop)[:, None] + 0.5
    np.minimum(near, _to_segment(cols, rows, *ends_22) - thick, out=near)


def pose_of(random: np.random.Generator) -> np.ndarray:
    """Joints in units of half the height, y downwards: upright with a lean, limbs anyhow."""
    joints = np.zeros((len(JOINTS), 2))
    joints[0], joints[1] = (0, -0.78), (0, -0.5)
    for side, first in ((-1, 2), (1, 5)):  # the right arm is on the picture's left
        joints[first] = (0.22 * side, -0.45)
        upper = random.uniform(-0.4, 2.4)  # from hanging to raised
        joints[first + 1] = joints[first] + 0.3 * _towards(side, upper)
        joints[first + 2] = joints[first + 1] + 0.28 * _towards(side, upper + random.normal(0, 0.8))
    for side, first in ((-1, 8), (1, 11)):
        joints[first] = (0.14 * side, 0.08)
        spread = random.uniform(-0.1, 0.8)
        joints[first + 1] = joints[first] + 0.4 * _towards(side, spread)
        bend = spread - random.uniform(0, 0.7)
        joints[first + 2] = joints[first + 1] + 0.38 * _towards(side, bend)
    lean = random.normal(0, 0.15)
    turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    return joints @ turn


def _towards(side: int, angle: float) -> np.ndarray:
    """A unit vector: angle 0 hangs down, a quarter turn points away from the body."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def _to_segment(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the line from a to b."""
    along = b - a
    share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(float(along @ along), 1e-9)
    share = share.clip(0, 1)
    return np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
