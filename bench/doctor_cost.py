"""What the doctor costs: the time of a step with it over one without, paired and interleaved.

    python bench/doctor_cost.py [net ...] [--seconds S]

Each round runs the same steps bare, watched, under detect_anomaly and (where it is installed) under
torch-audit, in turn, each in a process of its own; CPU time is taken, and the median of the rounds'
ratios to the bare loop counts, over several generations of processes. The watched run goes through
its dense first twenty steps before; they are timed by themselves. The memory of a watched tiny MLP
is read after 1,000 steps and again after 100,000.
"""

import argparse
import contextlib
import importlib.util
import itertools
import multiprocessing as mp
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from _timing import paired, record_goals, table
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from snellen.doctor.watch import doctor

ROUNDS, GENERATIONS = 6, 5


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

    def __init__(self, name, watcher):
        self.mine, theirs = mp.Pipe()
        self.process = mp.Process(target=serve, args=(name, watcher, theirs), daemon=True)
        self.process.start()

    def run(self, steps):
        """Run some steps; seconds a step."""
        self.mine.send(steps)
        return self.mine.recv() / steps

    def end(self):
        """Its largest memory in MiB."""
        self.mine.send(0)
        mib = self.mine.recv()
        self.process.join()
        return mib


def serve(name, watcher, pipe):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, data, batch = NETS[name]()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    loader = DataLoader(data, batch, shuffle=True, drop_last=True)
    batches = (batch for _ in itertools.count() for batch in loader)
    with WATCHERS[watcher](net, optimizer) as watch:
        while steps := pipe.recv():
            start = time.process_time()
            for x, y in itertools.islice(batches, steps):
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
            pipe.send(time.process_time() - start)
            assert not getattr(watch, "notes", None), watch.notes
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@contextlib.contextmanager
def audited(net, optimizer):
    """torch-audit at its defaults, every twentieth step."""
    from torch_audit import autopatch

    auditor = autopatch(net, optimizer=optimizer, every_n_steps=20, reporters=[])
    yield None
    auditor.unpatch()


WATCHERS = {
    "bare": lambda net, optimizer: contextlib.nullcontext(),
    "doctor": doctor,
    "detect_anomaly": lambda net, optimizer: torch.autograd.detect_anomaly(check_nan=True),
}
if importlib.util.find_spec("torch_audit"):
    WATCHERS["torch-audit"] = audited


def measure(name, seconds):
    """Net -> rows of ratios, the cost of the first twenty steps, and steps a turn.

    Processes differ by the luck of their memory: each generation starts all anew.
    """
    times, firsts = {watcher: [] for watcher in WATCHERS}, []
    for _ in range(GENERATIONS):
        loops = {watcher: Loop(name, watcher) for watcher in WATCHERS}
        loops["bare"].run(5)
        first = loops["doctor"].run(20)  # the dense ones
        per = loops["bare"].run(20)
        firsts.append(first / per)
        for loop in loops.values():
            loop.run(30)
        steps = max(4, int(seconds / 2 / ROUNDS / GENERATIONS / per))
        for k in range(ROUNDS):
            for watcher in list(loops)[:: 1 if k % 2 else -1]:
                times[watcher].append(loops[watcher].run(steps))
        for loop in loops.values():
            loop.end()
    return paired(times, "bare"), statistics.median(firsts), steps


def memory(steps=100_000):
    """MiB that a watched tiny MLP gains between 1,000 steps and so many."""
    peaks = []
    for count in (1000, steps):
        loop = Loop("tiny_mlp", "doctor")
        loop.run(count)
        peaks.append(loop.end())
    return peaks[1] - peaks[0]


GOALS = {"tiny_mlp": 1.25, "small_cnn": 1.10, "resnet18": 1.02, "lstm": 1.10}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--seconds", type=float, default=10.0)
    words = parser.parse_args()
    torch.set_num_threads(1)
    goals, rows = {}, []
    for name in words.nets:
        ratios, first, steps = measure(name, words.seconds)
        print(
            table(f"{name}: {steps} steps a turn; the first 20 with the doctor {first:.2f}", ratios)
        )
        ratio = next(r.ratio for r in ratios if r.name == "doctor")
        goals[f"{name}, a step with the doctor / bare"] = (ratio, GOALS[name], "at most")
        rows += [{"net": name, "first_20": first, **vars(r)} for r in ratios]
    if "tiny_mlp" in words.nets:
        goals["MiB gained from step 1,000 to 100,000"] = (memory(), 4.0, "at most")
    if words.nets == list(NETS):
        record_goals("doctor_cost", goals, rows=rows)


if __name__ == "__main__":
    main()
