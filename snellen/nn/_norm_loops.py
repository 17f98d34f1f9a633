"""The loops of a fused batch norm over x_NW: N rows of W numbers, a channel in every column.

bfloat16 comes as its 16 bits (`shift` 16: a float32 without its lower half), float32 as its 32
(`shift` 0), so that one loop serves both. Sums run in float32 over a few rows and in float64 over
those. `at_5W` holds scale, offset, mean, slope and level of each column. Import this file where
`compiled.is_here()`; as plain Python it would take minutes.
"""

from typing import Any

import numpy as np

from ..core.compiled import compiled

Array = Any  # of NumPy; numba reads types off the arguments
ROWS = 256  # that are summed in float32


@compiled
def _wide(bits: Any, shift: Any) -> Any:
    """Stored bits -> float32."""
    return np.uint32(np.uint32(bits) << shift).view(np.float32)


@compiled
def _narrow(value: Any, shift: Any) -> Any:
    """float32 -> the bits to store, rounded to the nearest, ties to even, as PyTorch rounds. A NaN
    stays one where its lower half is empty, which is so for all that arithmetic makes.
    """
    bits = np.float32(value).view(np.uint32)
    if shift == 0:
        return bits
    tie = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    return np.uint32(np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + tie) >> np.uint32(16))


@compiled
def middle(x_NW: Array, channels: int, pivot_W: Array) -> None:
    """About the mean of each channel, from sixteen rows; 0 where that is no number."""
    shift = np.uint32(16 if x_NW.itemsize == 2 else 0)
    num_rows, width = x_NW.shape
    step = max(1, num_rows // 16)
    count = len(range(0, num_rows, step)) * (width // channels)
    part_C = np.zeros(channels, np.float32)
    for row in range(0, num_rows, step):
        for i in range(width):
            part_C[i % channels] += _wide(x_NW[row, i], shift)
    for i in range(width):
        mean = part_C[i % channels] / np.float32(count)
        pivot_W[i] = mean if np.isfinite(mean) else np.float32(0)


@compiled
def sums(x_NW: Array, pivot_W: Array, total_2W: Array) -> None:
    """Add the sums of x - pivot and of its square to `total_2W`; a pivot near the mean keeps them
    from cancelling out.
    """
    shift = np.uint32(16 if x_NW.itemsize == 2 else 0)
    num_rows, width = x_NW.shape
    part_W, square_W = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for low in range(0, num_rows, ROWS):
        part_W[:] = 0
        square_W[:] = 0
        for row in range(low, min(low + ROWS, num_rows)):
            for i in range(width):
                value = _wide(x_NW[row, i], shift) - pivot_W[i]
                part_W[i] += value
                square_W[i] += value * value
        for i in range(width):
            total_2W[0, i] += part_W[i]
            total_2W[1, i] += square_W[i]


@compiled
def mean_and_variance(total_2W: Array, pivot_W: Array, count: int, out_2C: Array) -> None:
    """The sums of columns -> mean and biased variance of channels."""
    channels = out_2C.shape[1]
    for c in range(channels):
        first, second = 0.0, 0.0
        for i in range(c, total_2W.shape[1], channels):
            first += total_2W[0, i]
            second += total_2W[1, i]
        first, second = first / count, second / count
        variance = second - first * first
        out_2C[0, c] = pivot_W[c] + first
        out_2C[1, c] = 0.0 if variance < 0 else variance


@compiled
def table(moments_2C: Array, weight_C: Array, bias_C: Array, eps: float, at_5W: Array) -> None:
    """Fill scale, offset and mean of each column; `gradient_sums` and `slopes` fill the rest."""
    channels = moments_2C.shape[1]
    for i in range(at_5W.shape[1]):
        c = i % channels
        mean = float(moments_2C[0, c])
        scale = weight_C[c] / np.sqrt(float(moments_2C[1, c]) + eps)
        offset = bias_C[c] - mean * scale
        # a NaN of another's making may have digits that `_narrow` would round away
        at_5W[0, i] = np.nan if np.isnan(scale) else scale
        at_5W[1, i] = np.nan if np.isnan(offset) else offset
        at_5W[2, i] = np.nan if np.isnan(mean) else mean


@compiled
def slopes(
    total_2W: Array, moments_2C: Array, count: int, eps: float, at_5W: Array, out_2C: Array
) -> None:
    """Fill slope and level of each column, and the gradients at weight and bias into `out_2C`."""
    channels = out_2C.shape[1]
    for c in range(channels):
        total, dot = 0.0, 0.0
        for i in range(c, total_2W.shape[1], channels):
            total += total_2W[0, i]
            dot += total_2W[1, i]
        spread = 1 / np.sqrt(float(moments_2C[1, c]) + eps)
        out_2C[0, c], out_2C[1, c] = dot * spread, total
        slope = -at_5W[0, c] * spread * spread * dot / count
        level = -at_5W[0, c] * total / count
        for i in range(c, total_2W.shape[1], channels):
            at_5W[3, i], at_5W[4, i] = slope, level


@compiled
def scaled(x_NW: Array, at_5W: Array, low: Any, high: Any, out_NW: Array) -> None:
    """out = x * scale + offset, held between low and high; NaN stays."""
    shift = np.uint32(16 if x_NW.itemsize == 2 else 0)
    num_rows, width = x_NW.shape
    for row in range(num_rows):
        for i in range(width):
            value = _wide(x_NW[row, i], shift) * at_5W[0, i] + at_5W[1, i]
            value = low if value < low else value
            value = high if value > high else value
            out_NW[row, i] = _narrow(value, shift)


@compiled
def gradient_sums(
    x_NW: Array, grad_NW: Array, at_5W: Array, low: Any, high: Any, total_2W: Array
) -> None:
    """Add the sums of the gradient and of gradient * (x - mean) to `total_2W`. The gradient counts
    where x * scale + offset lies between low and high.
    """
    shift = np.uint32(16 if x_NW.itemsize == 2 else 0)
    num_rows, width = x_NW.shape
    part_W, dot_W = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for start in range(0, num_rows, ROWS):
        part_W[:] = 0
        dot_W[:] = 0
        for row in range(start, min(start + ROWS, num_rows)):
            for i in range(width):
                x = _wide(x_NW[row, i], shift)
                out = x * at_5W[0, i] + at_5W[1, i]
                grad = _wide(grad_NW[row, i], shift)
                grad = np.float32(0) if out <= low or out >= high else grad
                part_W[i] += grad
                dot_W[i] += grad * (x - at_5W[2, i])
        for i in range(width):
            total_2W[0, i] += part_W[i]
            total_2W[1, i] += dot_W[i]


@compiled
def gradient(x_NW: Array, grad_NW: Array, at_5W: Array, low: Any, high: Any, out_NW: Array) -> None:
    """out = gradient * scale + (x - mean) * slope + level, the gradient where it counts."""
    shift = np.uint32(16 if x_NW.itemsize == 2 else 0)
    num_rows, width = x_NW.shape
    for row in range(num_rows):
        for i in range(width):
            x = _wide(x_NW[row, i], shift)
            out = x * at_5W[0, i] + at_5W[1, i]
            grad = _wide(grad_NW[row, i], shift)
            grad = np.float32(0) if out <= low or out >= high else grad
            value = grad * at_5W[0, i] + (x - at_5W[2, i]) * at_5W[3, i] + at_5W[4, i]
            out_NW[row, i] = _narrow(value, shift)
