"""`_kernels.move` for networks that are fed channels last: a row of a picture is one line of W * C
numbers.

As there, plain Python that numba compiles. Flat arrays, indices that can have no sign and a number
of channels that is written down (3, that of colours) let a loop be vectorised.
"""

import numpy as np

from ...core.compiled import compiled

Array = np.ndarray
at = np.uint64


@compiled
def _join(
    old: Array, first: int, plane: int, new: Array, place: int, width: int, step: int
) -> None:
    """A line of each plane -> a line of pixels."""
    if step == 3:
        for i in range(width):
            for c in range(3):
                new[at(place + 3 * i + c)] = old[at(first + c * plane + i)]
    else:
        for c in range(step):
            for i in range(width):
                new[at(place + step * i + c)] = old[at(first + c * plane + i)]


@compiled
def _mirror(old: Array, last: int, new: Array, width: int, step: int) -> None:
    """A line of pixels, from its `last` to its first."""
    if step == 3:
        for i in range(width):
            for c in range(3):
                new[at(3 * i + c)] = old[at(last - 3 * i + c)]
    else:
        for i in range(width):
            for c in range(step):
                new[at(step * i + c)] = old[at(last - step * i + c)]


@compiled
def _write(old: Array, first: int, new: Array, place: int, scales_2L: Array) -> None:
    scale_L, shift_L = scales_2L[0], scales_2L[1]
    for i in range(len(scale_L)):
        new[at(place + i)] = np.float32(old[at(first + i)]) * scale_L[at(i)] + shift_L[at(i)]


@compiled
def move_last(
    x: Array, is_colour_last: bool, out_BHWC: Array, down_B: Array, right_B: Array,
    upset_B: Array, mirrored_B: Array, scales_2C: Array,
) -> None:  # fmt: skip
    """uint8 x_BCHW, or x_BHW3 of colours -> `out`, as `move` does it."""
    batch, height, width, step = out_BHWC.shape
    old, new, line = x.reshape(-1), out_BHWC.reshape(-1), width * step
    below = min(height, np.abs(down_B).max()) if batch else 0
    beside = min(width, np.abs(right_B).max()) if batch else 0
    wide = (width + 2 * beside) * step
    framed, turned = np.zeros((height + 2 * below) * wide, np.uint8), np.empty(line, np.uint8)
    scales_2L = np.empty((2, line), np.float32)
    for i in range(line):
        scales_2L[:, i] = scales_2C[:, i % step]
    for b in range(batch):
        for row in range(height):
            place, first = (below + row) * wide + beside * step, b * height * line
            if is_colour_last:
                for i in range(line):
                    framed[at(place + i)] = old[at(first + row * line + i)]
            else:
                _join(old, first + row * width, height * width, framed, place, width, step)
        left = (beside - max(-beside, min(beside, right_B[b]))) * step
        top = below - max(-below, min(below, down_B[b]))
        for row in range(height):
            seen = top + (height - 1 - row if upset_B[b] else row)
            place, first = (b * height + row) * line, seen * wide + left
            if mirrored_B[b]:
                _mirror(framed, first + line - step, turned, width, step)
                _write(turned, 0, new, place, scales_2L)
            else:
                _write(framed, first, new, place, scales_2L)
