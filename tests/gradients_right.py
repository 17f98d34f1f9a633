"""Layers, losses and functions whose gradients are right: name -> module, inputs, target, loss."""

import torch
import torch.nn.functional as F
from torch import nn
from torch import rand as U
from torch import randn as R
from torch.nn.utils.parametrizations import weight_norm

WORDS = torch.tensor([[1, 2], [1, 8]])


def labels(count=4):
    return torch.arange(count) % 3


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


class InPlace(nn.Module):
    """Changes what it is given."""

    def forward(self, x):
        return x.add_(1).mul_(2).relu_()


class Nested(nn.Module):
    """Gives a dict with floats and whole numbers."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x):
        y = self.a(x)
        return {"y": y, "more": [y.sin(), y.argmax(1)]}


class Narrow(nn.Module):
    """Asks for float32 and bfloat16, and holds a tensor that is no buffer."""

    def __init__(self):
        super().__init__()
        self.a, self.scale = nn.Linear(4, 3), torch.tensor([1.0, 2, 3])

    def forward(self, x):
        share = F.softmax(self.a(x).float(), -1, dtype=torch.float32).to(torch.bfloat16)
        return share * self.scale + torch.zeros(len(x), 3)


def ctc(x, *more):
    return F.ctc_loss(x.log_softmax(-1), *more)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(36, 3),
    )  # fmt: skip


def sigmoids(layers, **instead):
    """Layers whose gradients vanish on the way: 1e-1 in the last, 1e-10 in the first of twelve."""
    fcs = [instead.get(f"at_{k}") or nn.Linear(6, 6) for k in range(layers)]
    return nn.Sequential(*[m for fc in fcs for m in (fc, nn.Sigmoid())])


def own(x):
    return torch.where(x > 0, x.exp(), x.sin()).sort(-1).values.cumsum(-1) * x.norm(dim=1)[:, None]


RIGHT = {
    "linear": lambda: (nn.Linear(5, 3), R(4, 5)),
    "bilinear": lambda: (nn.Bilinear(3, 4, 2), (R(4, 3), R(4, 4))),
    "conv1d": lambda: (nn.Conv1d(3, 4, 3, padding=1), R(2, 3, 8)),
    "conv2d": lambda: (nn.Conv2d(3, 4, 3, stride=2, padding=1), R(2, 3, 7, 7)),
    "conv3d": lambda: (nn.Conv3d(2, 3, 2), R(2, 2, 4, 4, 4)),
    "groups": lambda: (nn.Conv2d(4, 4, 3, groups=2, dilation=2), R(2, 4, 7, 7)),
    "transposed": lambda: (nn.ConvTranspose2d(3, 2, 3, stride=2), R(2, 3, 4, 4)),
    "bn-train": lambda: (nn.BatchNorm1d(4), R(6, 4)),
    "bn2d": lambda: (nn.BatchNorm2d(3), R(4, 3, 3, 3)),
    "bn-eval": lambda: (nn.BatchNorm1d(4).eval(), R(6, 4)),
    "layer-norm": lambda: (nn.LayerNorm(6), R(3, 6)),
    "group-norm": lambda: (nn.GroupNorm(2, 4), R(3, 4, 3)),
    "instance-norm": lambda: (nn.InstanceNorm2d(3, affine=True), R(2, 3, 4, 4)),
    "rms-norm": lambda: (nn.RMSNorm(6), R(3, 6)),
    "lrn": lambda: (nn.LocalResponseNorm(3), R(2, 5, 3, 3)),
    "weight-norm": lambda: (weight_norm(nn.Linear(4, 3)), R(3, 4)),
    "relu": lambda: (nn.ReLU(), R(4, 9)),
    "prelu": lambda: (nn.PReLU(), R(4, 9)),
    "elu": lambda: (nn.ELU(), R(4, 9)),
    "gelu": lambda: (nn.GELU(), R(4, 9)),
    "hardswish": lambda: (nn.Hardswish(), 3 * R(4, 9)),
    "sigmoid": lambda: (nn.Sigmoid(), 5 * R(4, 9)),
    "rrelu": lambda: (nn.RReLU(), R(4, 9)),
    "softmax": lambda: (nn.Softmax(-1), R(4, 9)),
    "glu": lambda: (nn.GLU(), R(4, 8)),
    "abs": lambda: (torch.abs, R(4, 4).round() + R(4, 1)),
    "max-pool": lambda: (nn.MaxPool2d(2), R(2, 3, 6, 6)),
    "max-pool-ties": lambda: (nn.MaxPool2d(2), R(2, 3, 6, 6).round()),
    "avg-pool": lambda: (nn.AvgPool2d(2), R(2, 3, 6, 6)),
    "fractional-pool": lambda: (nn.FractionalMaxPool2d(2, output_size=3), R(2, 3, 6, 6)),
    "upsample": lambda: (nn.Upsample(scale_factor=2, mode="bilinear"), R(2, 3, 3, 3)),
    "dropout": lambda: (nn.Dropout(0.4), R(4, 9)),
    "dropout2d": lambda: (nn.Dropout2d(0.4), R(4, 9, 2, 2)),
    "alpha-dropout": lambda: (nn.AlphaDropout(0.4), R(4, 9)),
    "embedding": lambda: (nn.Embedding(9, 3, sparse=True, padding_idx=1), WORDS),
    "embedding-bag": lambda: (nn.EmbeddingBag(9, 3, mode="max"), WORDS),
    "rnn": lambda: (nn.RNN(3, 4), R(5, 2, 3)),
    "lstm": lambda: (nn.LSTM(3, 2, num_layers=2, dropout=0.3, batch_first=True), R(2, 5, 3)),
    "lstm-state": lambda: (nn.LSTM(3, 2), (R(4, 2, 3), (R(1, 2, 2), R(1, 2, 2)))),
    "gru": lambda: (nn.GRU(3, 2, bidirectional=True), R(5, 2, 3)),
    "lstm-cell": lambda: (nn.LSTMCell(3, 4), R(2, 3)),
    "gru-cell": lambda: (nn.GRUCell(3, 4), R(2, 3)),
    "packed": lambda: (nn.RNN(3, 4), nn.utils.rnn.pack_sequence([R(3, 3), R(2, 3)])),
    "attention": lambda: (nn.MultiheadAttention(4, 2, dropout=0.2), (R(3, 2, 4), R(5, 2, 4),
                                                                     R(5, 2, 4))),
    "encoder": lambda: (nn.TransformerEncoderLayer(4, 2, 8).eval(), R(2, 3, 4)),
    "cross-entropy": lambda: (nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3]), label_smoothing=0.1),
                              R(4, 3), labels()),
    "nll": lambda: (nn.NLLLoss(), R(4, 3).log_softmax(1), labels()),
    "mse": lambda: (nn.MSELoss(), R(4, 3), R(4, 3)),
    "l1": lambda: (nn.L1Loss(), R(4, 3), R(4, 3)),
    "huber": lambda: (nn.HuberLoss(), R(4, 3), R(4, 3)),
    "bce": lambda: (nn.BCELoss(), U(4, 3), U(4, 3).round()),
    "bce-logits": lambda: (nn.BCEWithLogitsLoss(), R(4, 3), U(4, 3)),
    "kl": lambda: (nn.KLDivLoss(reduction="batchmean"), R(4, 3).log_softmax(1), U(4, 3).softmax(1)),
    "hinge": lambda: (nn.MultiMarginLoss(), R(4, 3), labels()),
    "squared-hinge": lambda: (nn.MultiMarginLoss(p=2), R(4, 3), labels()),
    "cosine": lambda: (lambda a, b: F.cosine_embedding_loss(a, b, torch.tensor([1, -1, 1, -1])),
                       (R(4, 3), R(4, 3))),
    "triplet": lambda: (nn.TripletMarginLoss(), (R(4, 3), R(4, 3), R(4, 3))),
    "gaussian": lambda: (nn.GaussianNLLLoss(), (R(4, 3), R(4, 3), U(4, 3) + 0.1)),
    "ctc": lambda: (ctc, (R(8, 2, 4), torch.tensor([[1, 2, 3], [2, 2, 1]]), torch.tensor([8, 8]),
                          torch.tensor([3, 3]))),
    "inverse": lambda: (torch.linalg.inv, R(2, 3, 3)),
    "singular-values": lambda: (torch.linalg.svdvals, R(3, 4)),
    "own": lambda: (own, R(3, 4)),
    "zeros": lambda: (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
                      torch.zeros(3, 4)),
    "tied": lambda: (Tied(), R(3, 4)),
    "in-place": lambda: (InPlace(), R(3, 4)),
    "nested": lambda: (Nested(), R(3, 4)),
    "narrow": lambda: (Narrow(), R(3, 4)),
    "bfloat16": lambda: (nn.Linear(4, 3).bfloat16(), R(3, 4).bfloat16()),
    "frozen": lambda: (nn.Sequential(nn.Linear(4, 3).requires_grad_(False), nn.Linear(3, 2)),
                       R(3, 4)),
    "vanishing": lambda: (sigmoids(12), R(4, 6)),
    "network": lambda: (network(), R(20, 1, 8, 8), labels(20), F.cross_entropy),
}  # fmt: skip
