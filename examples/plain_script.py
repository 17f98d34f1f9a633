"""A plain PyTorch training on scikit-learn's digits that fails without an error or a warning.

snellen doctor examples/plain_script.py     says which picture is at fault, and what to do
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None]
labels = torch.tensor(digits.target)
images[417] = 0.0  # the planted mistake: one scan came out blank ...
images = images / images.amax((1, 2, 3), keepdim=True)  # ... so its contrast is 0 / 0

train = TensorDataset(images[:1437], labels[:1437])
loader = DataLoader(train, batch_size=64, shuffle=True)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
    nn.Linear(32 * 4 * 4, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()

for _ in range(3):
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        optimizer.step()

with torch.no_grad():
    right = (net(images[1437:]).argmax(1) == labels[1437:]).float().mean()
print(f"accuracy on the last 360 pictures: {right:.3f}")
