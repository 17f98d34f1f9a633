"""The oldest idiom: `p.data -= lr * p.grad`, written in the loop."""

from _digits import dataset, done, lr, network
from torch import nn
from torch.utils.data import DataLoader

net, rate, loss_fn = network(), lr(0.1), nn.CrossEntropyLoss()
for _ in range(4):
    for inputs, labels in DataLoader(dataset(), 32, shuffle=True):
        net.zero_grad()
        loss = loss_fn(net(inputs), labels)
        loss.backward()
        for p in net.parameters():
            p.data -= rate * p.grad.data
done(net)
