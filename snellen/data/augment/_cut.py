"""Cutting windows of one size out of a batch, each at a place of its own: one gather for all."""

import torch
from torch import Tensor

from ._base import beside


def cut(x_BCHW: Tensor, top_B: Tensor, left_B: Tensor, *, size: tuple[int, int]) -> Tensor:
    """x_BCHW, the upper left corners -> (B, C, *size); the pixels are those of the picture.

    >>> x = torch.arange(12).view(1, 1, 3, 4)
    >>> cut(x, torch.tensor([1]), torch.tensor([2]), size=(2, 2)).tolist()
    [[[[6, 7], [10, 11]]]]
    """
    windows = x_BCHW.unfold(2, size[0], 1).unfold(3, size[1], 1)
    rows = torch.arange(len(x_BCHW), device=x_BCHW.device)
    return windows[rows, :, beside(top_B, x_BCHW), beside(left_B, x_BCHW)]


def shifts(right_B: Tensor, down_B: Tensor) -> Tensor:
    """Whole pixels to the right and down -> matrix_B23.

    >>> shifts(torch.tensor([3]), torch.tensor([-1])).tolist()
    [[[1.0, 0.0, 3.0], [0.0, 1.0, -1.0]]]
    """
    matrix_B23 = torch.eye(2, 3).repeat(len(right_B), 1, 1)
    matrix_B23[:, 0, 2] = right_B.float()
    matrix_B23[:, 1, 2] = down_B.float()
    return matrix_B23
