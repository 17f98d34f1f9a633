"""Training steps with one lever of speed after another, against plain fp32 eager; one thread.

Each contender has a process of its own and they take turns, a step each: plain PyTorch; bfloat16
autocast, channels_last and a fused optimiser, as tutorials say; the same with `sn.accelerate`; and
with malloc that keeps its memory and weights that the optimiser need not copy, which is what
`speed=auto` does.
ResNet-18 through all of `sn.train` is in resnet18.py. Where the processor has no units for
bfloat16, all is fp32, as `speed=auto` chooses there: figures are kept apart, and have no goals.

python bench/levers.py [NET ...]      # of some: the rows of the others are kept
"""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.connection import Connection

import torch
from _timing import goals_of, paired, record_goals, table, take_turns
from torch import nn
from torch.nn import functional as F

from snellen.train.speed import has_fast_bf16

STEPS = 9
BF16 = has_fast_bf16()
LEVERS = ("plain fp32 eager", "bf16 + channels_last" if BF16 else "channels_last",
          "+ sn.accelerate", "+ malloc, optimiser")  # fmt: skip


def airbench_like() -> nn.Module:
    """The shape of the CIFAR-10 speed records' network: a 2x2 stem, three blocks, one linear."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.MaxPool2d(2),
                nn.BatchNorm2d(after), nn.GELU(), nn.Conv2d(after, after, 3, 1, 1, bias=False),
                nn.BatchNorm2d(after), nn.GELU()]  # fmt: skip

    stem = [nn.Conv2d(3, 24, 2), nn.GELU()]
    tail = [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10)]
    return nn.Sequential(*stem, *block(24, 64), *block(64, 256), *block(256, 256), *tail)


def named(name: str, imgsz: int = 32) -> nn.Module:
    """A network of the zoo."""
    import snellen as sn

    return sn.model(name, classes=10, imgsz=imgsz)


class Lstm(nn.Module):
    """x_BTD -> logits_BK: two layers of 256."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(64, 256, 2, batch_first=True), nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {  # name -> how, its input
    "resnet18": (lambda: named("resnet18"), (64, 3, 32, 32)),
    "airbench-like": (airbench_like, (64, 3, 32, 32)),
    "mobilenet_v2": (lambda: named("mobilenet_v2"), (64, 3, 32, 32)),
    "unet": (lambda: named("paper:unet", 64), (16, 1, 64, 64)),
    "unet-small": (lambda: named("unet-small", 64), (16, 3, 64, 64)),
    "lstm": (Lstm, (64, 64, 64)),
}
# times faster than eager
GOALS = {"resnet18": 5.0, "airbench-like": 5.0, "mobilenet_v2": 2.0, "unet": 4.5,
         "unet-small": 4.5, "lstm": 2.3}  # fmt: skip


def contender(turn: Connection, name: str, level: int) -> None:
    """Steps of a network with the first `level` levers, one at each turn."""
    import snellen as sn
    from snellen.optim.memory_order import MemoryOrder
    from snellen.train.allocator import tuned

    torch.manual_seed(0)
    torch.set_num_threads(1)
    build, shape = NETS[name]
    net = build()
    x = torch.randn(shape)
    y = torch.randint(0, 10, (shape[0], *(shape[2:] if name.startswith("unet") else ())))
    if level >= 1 and x.ndim == 4:
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if level >= 2:
        net = sn.accelerate(net)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, fused=level >= 1)
    order = MemoryOrder() if level >= 3 else nullcontext()
    with tuned(True) if level >= 3 else nullcontext():
        while turn.recv():
            start = time.process_time()
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=BF16 and level >= 1):
                loss = F.cross_entropy(net(x), y)
            loss.backward()
            with order:
                optimizer.step()
            turn.send(time.process_time() - start)


def main(wanted: list[str]) -> None:
    rows, goals = {}, {}
    for name in wanted or NETS:
        turns = {lever: (contender, name, level) for level, lever in enumerate(LEVERS)}
        times = take_turns(turns, STEPS)
        rows[name] = [row for row in paired(times, LEVERS[0]) if row.name != LEVERS[0]]
        rows[name] += [row for row in paired(times, LEVERS[1]) if row.name in LEVERS[2:]]
        print(table(f"{name}, {'x'.join(map(str, NETS[name][1]))}", rows[name]), flush=True)
        wanted_of = {(LEVERS[3], LEVERS[0]): 1 / GOALS[name]} if BF16 else {}
        reached = goals_of(rows[name], wanted_of)
        goals |= {f"{name}: {what}": value for what, value in reached.items()}
    record_goals(
        "levers" if BF16 else "levers_fp32",
        goals,
        keep=bool(wanted),
        nets={k: [vars(row) for row in v] for k, v in rows.items()},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
