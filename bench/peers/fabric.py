"""Lightning Fabric: it wraps network, optimiser and loader."""

import lightning
import torch
import torch.nn.functional as F
from _digits import dataset, done, lr, network
from torch.utils.data import DataLoader

fabric = lightning.Fabric(accelerator="cpu", devices=1)
net = network()
optimizer = torch.optim.Adam(net.parameters(), lr(2e-3))
model, optimizer = fabric.setup(net, optimizer)
loader = fabric.setup_dataloaders(DataLoader(dataset(), 32, shuffle=True))
for _ in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        fabric.backward(F.cross_entropy(model(x), y))
        optimizer.step()
done(net)
