"""scikit-learn's handwritten digits as the lessons use them, and a small network for them."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


def digits(count: int = 1437) -> tuple[Tensor, Tensor]:
    """x_N64 standardised as a whole, label_N: the first `count`."""
    found = load_digits()
    x_N64 = torch.from_numpy(found.data).float()[:count]
    return (x_N64 - x_N64.mean()) / x_N64.std(), torch.from_numpy(found.target)[:count].long()


def perceptron(seed: int = 0) -> nn.Sequential:
    """x_B64 -> logits_B10 through 64 units of tanh, the same for the same seed."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
