"""Whole pixels moved, their colours shifted, and both normalised: loops that numba compiles.

They are plain Python as well, only slow. What leaves is pixel * scale_C + shift_C, in the type of
`out`: floats for the network, or bytes for the next of these loops. In `_kernels_last.py` is `move`
for networks that are fed channels last.
"""

import numpy as np

from ...core.compiled import compiled

Array = np.ndarray


@compiled
def move(
    x: Array, is_colour_last: bool, out_BCHW: Array, down_B: Array, right_B: Array,
    upset_B: Array, mirrored_B: Array, scales_2C: Array,
) -> None:  # fmt: skip
    """uint8 x_BCHW, or x_BHW3 of colours -> `out`; each sample shifted by (down, right) pixels,
    black coming in, then mirrored where `upset` (rows) or `mirrored` (columns) says so.
    """
    batch, channels, height, width = out_BCHW.shape
    flat = x.reshape(-1)
    below = min(height, np.abs(down_B).max()) if batch else 0
    beside = min(width, np.abs(right_B).max()) if batch else 0
    # In a black frame every row has one length, which is what the processor wants; as one line,
    # and indices without a sign, which are asked for no sign.
    wide = width + 2 * beside
    framed = np.zeros((height + 2 * below) * wide, np.uint8)
    for b in range(batch):
        top = below - max(-below, min(below, down_B[b]))
        left = beside - max(-beside, min(beside, right_B[b]))
        first, step = (top + height - 1, -wide) if upset_B[b] else (top, wide)
        for c in range(channels):
            scale, black = scales_2C[0, c], scales_2C[1, c]
            for row in range(height):
                place = (below + row) * wide + beside
                if is_colour_last:
                    old = (b * height + row) * width * 3 + c
                    for i in range(width):
                        framed[np.uint64(place + i)] = flat[np.uint64(old + 3 * i)]
                else:
                    for i in range(width):
                        framed[np.uint64(place + i)] = x[b, c, row, i]
            place = first * wide + left
            for row in range(height):
                if mirrored_B[b]:
                    for i in range(width):
                        old = framed[np.uint64(place + width - 1 - i)]
                        out_BCHW[b, c, row, i] = np.float32(old) * scale + black
                else:
                    for i in range(width):
                        old = framed[np.uint64(place + i)]
                        out_BCHW[b, c, row, i] = np.float32(old) * scale + black
                place += step


@compiled
def jitter(x_BCHW: Array, out_BCHW: Array, colour_B3: Array, scales_2C: Array) -> None:
    """uint8 -> `out`, each sample with saturation, contrast and brightness of its own, in the order
    of `jitter.Jitter`; pixels are rounded to whole ones, as there, before they are normalised.
    """
    batch, channels, height, width = x_BCHW.shape
    gray = np.empty(width, np.float32)
    for b in range(batch):
        total = np.int64(0)
        for c in range(channels):
            for row in range(height):
                line = x_BCHW[b, c, row]
                for i in range(width):
                    total += np.int64(line[i])
        middle = np.float32(total / (channels * height * width))
        saturation, brightness = colour_B3[b, 0], colour_B3[b, 2]
        factor, base = colour_B3[b, 1] * brightness, middle * brightness
        for row in range(height):
            gray[:] = 0
            for c in range(channels):
                line = x_BCHW[b, c, row]
                for i in range(width):
                    gray[i] += np.float32(line[i])
            gray /= np.float32(channels)
            for c in range(channels):
                scale, black = scales_2C[0, c], scales_2C[1, c]
                old, new = x_BCHW[b, c, row], out_BCHW[b, c, row]
                for i in range(width):
                    value = gray[i] + (np.float32(old[i]) - gray[i]) * saturation
                    value = (value - middle) * factor + base
                    whole = np.rint(min(max(value, np.float32(0)), np.float32(255)))
                    new[i] = whole * scale + black
