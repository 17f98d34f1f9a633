"""How large the output of a convolution or pooling is, notes 003: W2 = (W1 - F + 2P) / S + 1.

PyTorch rounds down in silence, and the last columns are never seen. Here a size that does not fit
is refused, as the notes ask.
"""

from ..core.errors import UsageError
from ..core.numbers import check_counts, check_naturals
from ..core.parts import Part

PARTS = {
    "Output size of a convolution": Part(
        "Layers and shapes",
        "sn.nn.conv_size",
        "(W1 - F + 2P) / S + 1, refused where it is not whole",
        "003",
    ),
}


def conv_size(
    size: int, kernel: int, stride: int = 1, *, padding: int = 0, dilation: int = 1
) -> int:
    """The side W1 of the input -> the side W2 of the output.

    Raises UsageError where the kernel does not fit in, a part of the input would be left over, or
    a number is not whole.

    >>> conv_size(227, 11, 4), conv_size(7, 3, padding=1)
    (55, 7)
    """
    if min(size, kernel, stride, dilation) < 1 or padding < 0:
        raise UsageError(
            f"size {size}, kernel {kernel}, stride {stride}, padding {padding}, dilation "
            f"{dilation}: padding must be 0 or more, the others 1 or more"
        )
    check_counts(size=size, kernel=kernel, stride=stride, dilation=dilation)
    check_naturals(padding=padding)
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    said = f"a side of {size} with kernel {kernel}, stride {stride}, padding {padding}"
    if room < 0:
        raise UsageError(f"{said}: the kernel is {-room} larger than the padded side; pad more")
    if room % stride:
        over = room % stride
        raise UsageError(
            f"{said} gives {room / stride + 1:g} places: the last {over} of the padded side would "
            f"be left over; take a side of {size - over} or {size - over + stride}, or PadSame"
        )
    return room // stride + 1
