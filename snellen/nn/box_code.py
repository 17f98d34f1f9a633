"""Boxes as shifts from reference boxes: what detectors regress. Fast R-CNN, arXiv:1504.08083.

t = (shift of the centre over the reference's size, log of the ratio of sizes), each over `scales`,
which makes the four of like variance.
"""

import math

import torch
from torch import Tensor

from ..core.parts import Part

PARTS = {
    "Box regression targets": Part(
        "Detection and segmentation", "sn.nn.encode_boxes, sn.nn.decode_boxes",
        "centre shift over size and log size ratio against a reference box", "003 004",
    )
}  # fmt: skip
LARGEST = math.log(1000 / 16)  # of a log ratio: an untrained network's exp must not overflow
UNIT = (1.0, 1.0, 1.0, 1.0)
SMALLEST = 1e-6  # pixels; a box without area has a code all the same


def centres(boxes_N4: Tensor) -> Tensor:
    """x1 y1 x2 y2 -> centre x, centre y, width, height.

    >>> centres(torch.tensor([[0.0, 0, 4, 2]])).tolist()
    [[2.0, 1.0, 4.0, 2.0]]
    """
    low, high = boxes_N4[..., :2], boxes_N4[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def corners(boxes_N4: Tensor) -> Tensor:
    """Centre x, centre y, width, height -> x1 y1 x2 y2; undoes `centres`.

    >>> corners(torch.tensor([[2.0, 1, 4, 2]])).tolist()
    [[0.0, 0.0, 4.0, 2.0]]
    """
    middle, half = boxes_N4[..., :2], boxes_N4[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def encode_boxes(
    boxes_N4: Tensor, references_N4: Tensor, scales: tuple[float, ...] = UNIT
) -> Tensor:
    """boxes_N4, references_N4 (both xyxy) -> codes_N4; of a box that is not finite they are NaN,
    which is not looked for: on a GPU each look would hold up the training.

    >>> box = torch.tensor([[0.0, 0, 4, 2]])
    >>> encode_boxes(box, box).tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """
    box, reference = centres(boxes_N4), centres(references_N4)
    size = reference[..., 2:].clamp(min=SMALLEST)
    shift = (box[..., :2] - reference[..., :2]) / size
    ratio = (box[..., 2:].clamp(min=SMALLEST) / size).log()
    return torch.cat([shift, ratio], -1) / shift.new_tensor(scales)


def decode_boxes(
    codes_N4: Tensor, references_N4: Tensor, scales: tuple[float, ...] = UNIT
) -> Tensor:
    """codes_N4, references_N4 (xyxy) -> boxes_N4; undoes `encode_boxes`.

    >>> box, reference = torch.tensor([[1.0, 1, 5, 3]]), torch.tensor([[0.0, 0, 4, 4]])
    >>> torch.allclose(decode_boxes(encode_boxes(box, reference), reference), box)
    True
    """
    codes, reference = codes_N4 * codes_N4.new_tensor(scales), centres(references_N4)
    size = reference[..., 2:].clamp(min=SMALLEST)
    middle = codes[..., :2] * size + reference[..., :2]
    return corners(torch.cat([middle, codes[..., 2:].clamp(max=LARGEST).exp() * size], -1))


def clip_boxes(boxes_N4: Tensor, size: tuple[int, int]) -> Tensor:
    """boxes_N4, image (H, W) -> the part of each box inside the image.

    >>> clip_boxes(torch.tensor([[-2.0, 1, 9, 9]]), (4, 6)).tolist()
    [[0.0, 1.0, 6.0, 4.0]]
    """
    height, width = size
    top = boxes_N4.new_tensor([width, height, width, height])
    return torch.minimum(boxes_N4.clamp(min=0), top)
