"""An optimiser that is a class of the user's own and no torch.optim.Optimizer."""

import torch
from _digits import dataset, done, lr, network
from torch import nn
from torch.utils.data import DataLoader


class Lion:
    def __init__(self, params, lr, beta=0.9):
        self.params, self.lr, self.beta = list(params), lr, beta
        self.moments = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, m in zip(self.params, self.moments, strict=True):
            p.add_(torch.sign(m * self.beta + p.grad * (1 - self.beta)), alpha=-self.lr)
            m.mul_(self.beta).add_(p.grad, alpha=1 - self.beta)


net, loss_fn = network(), nn.CrossEntropyLoss()
optimizer = Lion(net.parameters(), lr(1e-3))
for _ in range(4):
    for inputs, labels in DataLoader(dataset(), 32, shuffle=True):
        optimizer.zero_grad()
        loss_fn(net(inputs), labels).backward()
        optimizer.step()
done(net)
