"""torch.compile with the eager backend: what a compiler's front end does, without a C compiler."""

import torch
import torch.nn.functional as F
from _digits import dataset, done, lr, network
from torch.utils.data import DataLoader

net = network()
fast = torch.compile(net, backend="eager")
optimizer = torch.optim.SGD(net.parameters(), lr(0.05), momentum=0.9)
for _ in range(3):
    for x, y in DataLoader(dataset(), 32, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        F.cross_entropy(fast(x), y).backward()
        optimizer.step()
done(net)
