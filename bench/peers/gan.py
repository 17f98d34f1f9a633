"""Two networks and two optimisers that step in turn."""

import torch
from _digits import arrays, done, lr
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

data = TensorDataset(arrays()[0].flatten(1))
made = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))
judge = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
d = torch.optim.Adam(judge.parameters(), lr(3e-4), betas=(0.5, 0.999))
g = torch.optim.Adam(made.parameters(), lr(3e-4), betas=(0.5, 0.999))
loss_fn = nn.BCEWithLogitsLoss()
for _ in range(4):
    for (real,) in DataLoader(data, 64, shuffle=True):
        one, zero = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = made(torch.randn(len(real), 16))
        d.zero_grad()
        (loss_fn(judge(real), one) + loss_fn(judge(fake.detach()), zero)).backward()
        d.step()
        g.zero_grad()
        loss_fn(judge(fake), one).backward()
        g.step()
done(made, judge)
