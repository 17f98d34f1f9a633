"""A plain loop with validation and a learning-rate schedule."""

import torch
import torch.nn.functional as F
from _digits import dataset, done, lr, network
from torch.utils.data import DataLoader, random_split

train, val = random_split(dataset(), [1400, 397])
net = network()
optimizer = torch.optim.SGD(net.parameters(), lr(0.05), momentum=0.9)
loader = DataLoader(train, 32, shuffle=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr(0.05), total_steps=4 * len(loader))
for _ in range(4):
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        schedule.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(val, 200))
    print(f"accuracy {right / len(val):.3f}")
done(net)
