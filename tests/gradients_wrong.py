"""Planted faults in backwards: name -> (module, inputs, the tensor to be named, words said)."""

import torch
import torch.nn.functional as F
from torch import nn
from torch import randn as R


def function(name, forward, backward):
    """An autograd Function of two plain ones; backward gets the gradient and what came in."""

    def keep(ctx, *given):
        ctx.save_for_backward(*given)
        return forward(*given)

    def back(ctx, grad):
        return backward(grad, *ctx.saved_tensors)

    members = {"forward": staticmethod(keep), "backward": staticmethod(back)}
    return type(name, (torch.autograd.Function,), members)


class Layer(nn.Module):
    """A Function with a weight and perhaps a bias."""

    def __init__(self, used, *shapes, start=None):
        super().__init__()
        self.used = used
        for name, shape in zip(("weight", "bias"), shapes, strict=False):
            first = torch.randn(shape) if start is None else torch.full(shape, start)
            setattr(self, name, nn.Parameter(first))

    def forward(self, x):
        return self.used.apply(x, *self.parameters())


def fc(width=4, out=4, *, dw=lambda g, x: g.T @ x, db=lambda g: g.sum(0), dx=lambda g, w: g @ w):
    """A fully connected layer, one of whose gradients is given."""
    used = function("FC", lambda x, w, b: x @ w.T + b,
                    lambda g, x, w, b: (dx(g, w), dw(g, x), db(g)))  # fmt: skip
    return Layer(used, (out, width), (out,))


def inside(layer):
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 3))


def behind(name, f, df):
    """An activation after a layer."""
    return nn.Sequential(nn.Linear(5, 4), Layer(function(name, f, lambda g, x: g * df(x))))


def batch_norm(mean=True, var=True, gamma=True):
    def forward(x, w, b):
        return (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() * w + b

    def backward(g, x, w, b):
        scale = (x.var(0, correction=0) + 1e-5).sqrt()
        normed, h = (x - x.mean(0)) / scale, g * w if gamma else g
        dx = h - (h.mean(0) if mean else 0) - (normed * (h * normed).mean(0) if var else 0)
        return dx / scale, (g * normed).sum(0), g.sum(0)

    return Layer(function("BN", forward, backward), (4,), (4,), start=1.0)


def conv(flip_w=False, flip_x=False):
    def backward(g, x, w):
        dw = torch.nn.grad.conv2d_weight(x, w.shape, g, padding=1)
        turned = w.flip(2, 3) if flip_x else w
        dx = torch.nn.grad.conv2d_input(x.shape, turned, g, padding=1)
        return dx, dw.flip(2, 3) if flip_w else dw

    used = function("Conv", lambda x, w: F.conv2d(x, w, padding=1), backward)
    return Layer(used, (3, 2, 3, 3))


class Dropped(torch.autograd.Function):
    """The backward forgets to divide by the keep probability."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = torch.rand_like(x) < 0.6
        return x * ctx.kept / 0.6

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.kept


class Dropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.p, self.fc = 0.4, nn.Linear(5, 4)

    def forward(self, x):
        return Dropped.apply(self.fc(x)) if self.training else self.fc(x)


class Stale(torch.autograd.Function):
    """What was kept for the way back has been changed in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x.clone()
        out = x * x
        ctx.x.mul_(3)
        return out

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.x * grad


class Looked(torch.autograd.Function):
    """A word that occurs twice gets the gradient of one place only."""

    @staticmethod
    def forward(ctx, w, i):
        ctx.save_for_backward(i)
        ctx.num = len(w)
        return w[i]

    @staticmethod
    def backward(ctx, grad):
        (i,) = ctx.saved_tensors
        out = grad.new_zeros(ctx.num, grad.shape[-1])
        out[i.flatten()] = grad.reshape(-1, grad.shape[-1])
        return out, None


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 3))

    def forward(self, i):
        return Looked.apply(self.weight, i)


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x).detach()))


class Cell(nn.Module):
    """An LSTM whose cell state gets no gradient through the forget gate."""

    def __init__(self):
        super().__init__()
        self.i, self.h = nn.Linear(3, 8), nn.Linear(2, 8)

    def forward(self, x_TBC):
        h = c = x_TBC.new_zeros(x_TBC.shape[1], 2)
        for x in x_TBC:
            i, f, g, o = (self.i(x) + self.h(h)).chunk(4, 1)
            c = f.sigmoid() * c.detach() + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


def without_last(g, x):
    dw = (g.T @ x).clone()
    dw[-1] = 0
    return dw


def one_of_many(g, x):
    dw = (g.T @ x).clone()
    dw[7, 123] *= 1.5
    return dw


def pooled(f):
    return function("Pool", f, lambda g, x: g.repeat_interleave(3, 2))


WRONG = {
    "sign": lambda: (inside(fc(dw=lambda g, x: -g.T @ x)), R(6, 5), "2.weight", "sign is flipped"),
    "factor": lambda: (inside(fc(dw=lambda g, x: g.T @ x / 2)), R(6, 5), "2.weight", "0.5 times"),
    "batch-mean": lambda: (inside(fc(db=lambda g: g.mean(0))), R(6, 5), "2.bias",
                           "1 / the number of samples"),
    "transposed": lambda: (inside(fc(dw=lambda g, x: x.T @ g)), R(6, 5), "2.weight", "transposed"),
    "wrong-order": lambda: (fc(5, 3, dw=lambda g, x: (x.T @ g).reshape(3, 5)), R(6, 5), "weight",
                            "in the order of axes"),
    "wrong-axis": lambda: (inside(fc(db=lambda g: g.sum(1))), R(4, 5), "2.bias", "backward of FC"),
    "bias-not-summed": lambda: (inside(fc(db=lambda g: g[0])), R(6, 5), "2.bias", "a term is miss"),
    "bias-none": lambda: (inside(fc(db=lambda g: None)), R(6, 5), "2.bias", "no gradient arrives"),
    "bias-zero": lambda: (inside(fc(db=lambda g: 0 * g[0])), R(6, 5), "2.bias", "says zero"),
    "input-sign": lambda: (inside(fc(dx=lambda g, w: -g @ w)), R(6, 5), "0", "sign is flipped"),
    "input-transposed": lambda: (inside(fc(dx=lambda g, w: g @ w.T)), R(6, 5), "0", "of FC"),
    "last-row": lambda: (inside(fc(dw=without_last)), R(6, 5), "2.weight", "where axis 0 at 3"),
    "one-of-many": lambda: (fc(300, 40, dw=one_of_many), R(6, 300), "weight", "at [7, 123]"),
    "relu-no-mask": lambda: (behind("Relu", torch.relu, torch.ones_like), R(6, 5), "0", "of Relu"),
    "tanh-of-x": lambda: (behind("Tanh", torch.tanh, lambda x: 1 - x * x), R(6, 5), "0", "of Tanh"),
    "sigmoid": lambda: (behind("Sig", torch.sigmoid, torch.sigmoid), R(6, 5), "0", "of Sig"),
    "square": lambda: (function("Square", torch.square, lambda g, x: g * x), R(6, 5), "x", "0.5 t"),
    "softmax": lambda: (function("Soft", lambda x: x.softmax(1),
                                 lambda g, x: g * x.softmax(1) * (1 - x.softmax(1))),
                        R(6, 5), "x", "of Soft"),
    "dropout-scale": lambda: (Dropout(), R(6, 5), "fc", "0.6, dropout's keep probability"),
    "stale": lambda: (Stale, R(6, 5), "x", "3 times"),
    "conv-weight": lambda: (conv(flip_w=True), R(2, 2, 6, 6), "weight", "along axes 2 and 3"),
    "conv-input": lambda: (nn.Sequential(nn.Conv2d(1, 2, 1), conv(flip_x=True)), R(2, 1, 6, 6), "0",
                           "of Conv"),
    "bn-mean": lambda: (batch_norm(mean=False), R(6, 4), "x", "all along axis 0"),
    "bn-variance": lambda: (batch_norm(var=False), R(6, 4), "x", "of BN"),
    "bn-gamma": lambda: (nn.Sequential(nn.Linear(5, 4), batch_norm(gamma=False)), R(6, 5), "0",
                         "after 10 steps of burn-in"),
    "word-twice": lambda: (Embedding(), torch.tensor([[1, 2], [1, 4]]), "weight", "axis 0 at 1"),
    "detached": lambda: (Cut(), R(6, 4), "a", "no gradient arrives"),
    "lstm-cut": lambda: (Cell(), R(4, 2, 3), "h", "wrong"),
    "avg-pool": lambda: (pooled(lambda x: F.avg_pool1d(x, 3)), R(2, 2, 9), "x", "3 times"),
    "max-pool": lambda: (pooled(lambda x: F.max_pool1d(x, 3)), R(2, 2, 9), "x", "of Pool"),
    "loss-mean": lambda: (function("MSE", lambda p: p.square().mean(), lambda g, p: g * 2 * p),
                          R(6, 1), "x", "a sum for a mean"),
    "loss-target": lambda: (function("CE", lambda p: -p.log_softmax(1)[:, 0].sum(),
                                     lambda g, p: g * p.softmax(1)), R(6, 3), "x", "axis 1 at 0"),
    "nan": lambda: (lambda x: torch.where(x > 0, x.sqrt(), 0.0), torch.tensor([1.0, -1, 2]), "x",
                    "not a number"),
    "rounded": lambda: (function("Round", torch.round, lambda g, x: g), R(6), "x", "does not move"),
    "clipped": lambda: (function("Clip", lambda x: x.clamp(-0.5, 0.5), lambda g, x: g), 2 * R(12),
                        "x", "of Clip"),
}  # fmt: skip
