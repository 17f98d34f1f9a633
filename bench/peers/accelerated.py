"""Hugging Face accelerate: prepare() wraps all three; gradients are summed over two batches."""

import torch
import torch.nn.functional as F
from _digits import dataset, done, lr, network
from accelerate import Accelerator
from torch.utils.data import DataLoader

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
net = network()
optimizer = torch.optim.Adam(net.parameters(), lr(2e-3))
loader = DataLoader(dataset(), 16, shuffle=True)
net, optimizer, loader = accelerator.prepare(net, optimizer, loader)
for _ in range(3):
    for x, y in loader:
        with accelerator.accumulate(net):
            loss = F.cross_entropy(net(x), y)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
done(net)
