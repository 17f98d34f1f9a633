"""What the scripts beside this file share: scikit-learn's digits, a small network, three faults.

Each script takes one word: fine, nan (items 7 and 42 of the data set hold NaN), lr (a thousand
times the learning rate) or softmax (before a cross-entropy). It knows nothing of any doctor, and
ends by printing a sum over its weights and a random number: they must not depend on who watches.
"""

import random
import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

FAULT = next((word for word in sys.argv[1:] if word in ("nan", "lr", "softmax")), "fine")
random.seed(0), np.random.seed(0), torch.manual_seed(0)
torch.set_num_threads(1)


def lr(value):
    return value * 1000 if FAULT == "lr" else value


def arrays():
    bunch = load_digits()
    x = torch.tensor(bunch.images, dtype=torch.float32)[:, None]
    x = (x - x.mean()) / x.std()
    if FAULT == "nan":
        x[[7, 42], 0, 3, 3] = float("nan")
    return x, torch.tensor(bunch.target)


def dataset():
    return TensorDataset(*arrays())


def network(width=32):
    layers = [nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)]
    return nn.Sequential(*layers, *([nn.Softmax(1)] if FAULT == "softmax" else []))


def done(*networks):
    weights = sum(p.detach().double().sum().item() for net in networks for p in net.parameters())
    print("sum", weights, torch.rand(1).item(), np.random.rand(), random.random())
