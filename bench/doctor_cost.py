"""What the doctor costs: the time of a step with it over one without, paired and interleaved.

    python bench/doctor_cost.py [net ...] [--seconds S]

Each round runs the same steps bare and watched, in turn, in two processes; CPU time is taken, and
the median of the rounds' ratios counts. The watched run goes through its dense first
twenty steps before; they are timed by themselves.
"""

import argparse
import contextlib
import itertools
import multiprocessing as mp
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.doctor.watch import doctor

ROUNDS = 14


def tiny_mlp():
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                        nn.Linear(64, 5))  # fmt: skip
    return net, TensorDataset(torch.randn(2048, 20), torch.randint(0, 5, (2048,))), 32


def small_cnn():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    return net, TensorDataset(torch.randn(2048, 1, 8, 8), torch.randint(0, 10, (2048,))), 64


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.a = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.b = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Identity() if stride == 1 and before == after else nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))  # fmt: skip

    def forward(self, x):
        out = self.nb(self.b(self.relu(self.na(self.a(x)))))
        return self.relu(out + self.short(x))


def resnet18():
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1),
              (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]  # fmt: skip
    net = nn.Sequential(
        nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
        *[Block(*w) for w in widths], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return net, TensorDataset(torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))), 8


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 128, 2, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def lstm():
    return Recurrent(), TensorDataset(torch.randn(512, 20, 32), torch.randint(0, 10, (512,))), 32


NETS = {"tiny_mlp": tiny_mlp, "small_cnn": small_cnn, "resnet18": resnet18, "lstm": lstm}


class Loop:
    """A plain training loop in a process of its own, run for some steps when it is asked to."""

    def __init__(self, name, watched):
        self.mine, theirs = mp.Pipe()
        self.process = mp.Process(target=serve, args=(name, watched, theirs), daemon=True)
        self.process.start()

    def run(self, steps):
        """Run some steps; seconds a step."""
        self.mine.send(steps)
        return self.mine.recv() / steps


def serve(name, watched, pipe):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, data, batch = NETS[name]()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    loader = DataLoader(data, batch, shuffle=True, drop_last=True)
    batches = (batch for _ in itertools.count() for batch in loader)
    with doctor(net, optimizer) if watched else contextlib.nullcontext() as doc:
        while steps := pipe.recv():
            start = time.process_time()
            for x, y in itertools.islice(batches, steps):
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
            pipe.send(time.process_time() - start)
            assert not watched or not doc.notes, doc.notes


def measure(name, seconds):
    bare, watched = Loop(name, False), Loop(name, True)
    bare.run(5)
    first = watched.run(20)  # the dense ones
    per = bare.run(20)
    watched.run(30)
    steps = max(4, int(seconds / 2 / ROUNDS / per))
    pairs = []
    for k in range(ROUNDS):
        times = {loop: loop.run(steps) for loop in ((bare, watched) if k % 2 else (watched, bare))}
        pairs.append((times[bare], times[watched]))
    for loop in (bare, watched):
        loop.mine.send(0)
        loop.process.join()
    ratio = statistics.median(b / a for a, b in pairs)
    return statistics.median(a for a, _ in pairs), ratio, first / per, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--seconds", type=float, default=8.0)
    words = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'net':<10} {'bare ms':>9} {'doctor ms':>9} {'ratio':>6} {'first 20':>8} {'steps':>6}")
    for name in words.nets:
        bare, ratio, first, steps = measure(name, words.seconds)
        print(f"{name:<10} {bare * 1e3:9.3f} {bare * ratio * 1e3:9.3f} {ratio:6.3f} {first:8.2f}"
              f" {steps:6d}")  # fmt: skip


if __name__ == "__main__":
    main()
