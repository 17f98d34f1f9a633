"""A tiny MLP through sn.train (logging, progress, checkpoints; with and without the doctor).

What is compared is the cost of steps: a training of 25 epochs less one of 5, so that reading,
evaluating once and drawing the report cancel out. Peer: a plain PyTorch loop over a DataLoader,
same data, batch, optimiser and number of steps. First frame: 1.3 times the plain loop; goal: 0.9.
"""

import contextlib
import io
import tempfile

import torch
from _timing import compare_slopes, goals_of, record_goals, table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snellen as sn

SAMPLES, BATCH, SHORT, LONG = 12_800, 64, 5, 25


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(SAMPLES, 1, 4, 8)
    return x, (x[:, 0, 0].sum(1) * 3).long() % 10


def plain(x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    net = mlp()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss_fn(net(xb), yb).backward()
            optimizer.step()


def snellen(x: torch.Tensor, y: torch.Tensor, epochs: int, doctor: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        sn.train((x, y), model=mlp(), epochs=epochs, batch=BATCH, lr=1e-3, split=0, doctor=doctor,
                 project=folder)  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    x, y = data()
    contenders = {
        "plain DataLoader loop": lambda epochs: plain(x, y, epochs),
        "snellen, doctor off": lambda epochs: snellen(x, y, epochs, doctor=False),
        "snellen, everything on": lambda epochs: snellen(x, y, epochs, doctor=True),
    }
    rows = compare_slopes(contenders, "plain DataLoader loop", (SHORT, LONG), rounds=5)
    steps = (LONG - SHORT) * SAMPLES // BATCH
    print(table(f"tiny MLP, {steps} steps of {BATCH}", rows))
    goals = goals_of(rows, {("snellen, everything on", "plain DataLoader loop"): 1.3})
    record_goals("tiny_mlp", goals, rows=[vars(row) for row in rows])


if __name__ == "__main__":
    main()
