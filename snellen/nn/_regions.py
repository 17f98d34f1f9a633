"""What all that read regions of maps want: boxes for each image of the batch."""

from torch import Tensor

from ..core.errors import UsageError


def check_regions(x_BCHW: Tensor, boxes_BP4: Tensor) -> None:
    """Maps or pictures x_BCHW and boxes_BP4 for each of them, else UsageError: boxes of one image
    would be read off the first alone, or off all.
    """
    if x_BCHW.ndim != 4 or boxes_BP4.ndim != 3 or boxes_BP4.shape[::2] != (len(x_BCHW), 4):
        raise UsageError(
            f"boxes of shape {tuple(boxes_BP4.shape)} for x of shape {tuple(x_BCHW.shape)}; "
            "(B, P, 4) are wanted, P for each of the B images of (B, C, H, W)"
        )
