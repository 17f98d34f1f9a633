"""CIFAR-10-shaped pictures to 94 % against the clock, on a GPU; without one, small and generated.

    python bench/gpu/speedrun.py cifar10.npz --peer airbench94_muon.py

cifar10.npz holds x_train (50000, 32, 32, 3) uint8, y_train, x_test and y_test; whatever else
`snellen train` reads as pictures of one size in classes will do. `--peer` times airbench's own
script on the same GPU: clone github.com/KellerJordan/cifar10-airbench, let it fetch its data once,
and name the file. `--runs` says how many seeds (5; the first, which compiles, is not counted).

What is timed is what airbench times: whitening, training and the scoring of six views, with the
network compiled and the data on the device. Figures go to bench/results/speedrun_cuda.json, or
speedrun_cpu.json where there is no GPU.
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _deal import Deal, six_views
from _net import Filters, SpeedNet
from torch import Tensor
from torch.nn import functional as F

from snellen.core.errors import SnellenError
from snellen.data.augment.views import over_views
from snellen.data.open import open_data
from snellen.data.source import SampleSet
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute
from snellen.train.held import Held
from snellen.train.speed import has_fast_bf16

WHITENED = 5_000  # pictures whose patches the first layer is made of
VIEWED = 500  # pictures that are scored at once, in six views each


@dataclass(frozen=True)
class Plan:
    """The settings of one training; rates are per picture, as the loss is a sum over the batch."""

    widths: tuple[int, ...] = (64, 256, 256)
    epochs: int = 8
    batch: int = 2000
    filters_lr: float = 0.24  # of Muon; these four are airbench's
    bias_lr: float = 0.053
    head_lr: float = 0.67
    decay: float = 2e-6
    smoothing: float = 0.2


SMALL = Plan(widths=(16, 32, 32), epochs=4, batch=100)


@dataclass(frozen=True)
class Data:
    """Both parts on the device: normalised, channels last, of 16 bit under autocast."""

    x_NCHW: Tensor
    label_N: Tensor
    test_NCHW: Tensor
    test_label_N: Tensor


def here() -> Compute:
    """A GPU with bfloat16 where there is one; else the processor, in what it is quick at."""
    if torch.cuda.is_available():
        return Compute(torch.device("cuda"), torch.bfloat16, channels_last=True)
    amp = torch.bfloat16 if has_fast_bf16() else None
    return Compute(torch.device("cpu"), amp, channels_last=True)


def load(path: str | None, compute: Compute, count: int = 2_000) -> Data:
    """A data set, or generated pictures where none is named."""
    given = path or (generated(count, 0), generated(count // 4, 1))
    source = open_data(given)  # type: ignore[arg-type]
    task = Classify.from_source(source)

    def on_device(part: SampleSet) -> tuple[Tensor, Tensor]:
        rows = Held(part, task, device=compute.device, targets=False).whole()
        x = task.inputs().prepare(rows.x, torch.channels_last)
        return x if compute.amp is None else x.half(), rows.y["label"]

    judged = source.test or source.val
    assert judged is not None  # open_data holds a part out
    return Data(*on_device(source.train), *on_device(judged))


def generated(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with waves in it: ten classes by their direction and length, the same in a mirror."""
    random = np.random.RandomState(seed)
    label_N = np.arange(count) % 10
    cycles, phase = 2 + label_N // 2, random.rand(count) * 2 * np.pi
    along = np.arange(32) / 32
    wave_NL = np.sin(2 * np.pi * cycles[:, None] * along + phase[:, None])
    lying = (label_N % 2 == 0)[:, None, None]
    wave_NHW = np.where(lying, wave_NL[:, :, None], wave_NL[:, None, :])
    noise = random.randint(-80, 81, (count, 32, 32, 3))
    pixels = 128 + 40 * wave_NHW[..., None] * random.rand(count, 1, 1, 3) + noise
    return pixels.clip(0, 255).astype(np.uint8), label_N


def optimisers(net: SpeedNet, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the filters, fused SGD for the biases and the last layer."""
    decay = plan.decay * plan.batch
    biases = [p for p in net.parameters() if p.requires_grad and p.ndim == 1]
    groups = [{"params": params, "lr": lr, "weight_decay": decay / lr} for params, lr in
              ((biases, plan.bias_lr), ([net.head.weight], plan.head_lr))]  # fmt: skip
    muon = torch.optim.Muon(filters(net), lr=plan.filters_lr, momentum=0.6, weight_decay=0.0)
    return [muon, torch.optim.SGD(groups, momentum=0.85, nesterov=True, fused=True)]


def filters(net: SpeedNet) -> list[torch.nn.Parameter]:
    """The matrices that Muon moves."""
    return [layer.weight_OF for layer in net.modules() if isinstance(layer, Filters)]


def train(net: SpeedNet, data: Data, plan: Plan, *, compute: Compute, seed: int) -> None:
    """New weights, whitening, and all epochs; nothing waits for the device."""
    torch.manual_seed(seed)
    net.reset()
    net.whiten(data.x_NCHW[:WHITENED])
    net.train()
    deal = Deal(data.x_NCHW, data.label_N, plan.batch, seed)
    movers = optimisers(net, plan)
    highest = [[group["lr"] for group in mover.param_groups] for mover in movers]
    matrices, step, steps = filters(net), 0, plan.epochs * deal.steps
    for epoch in range(plan.epochs):
        for x, label_B in deal.epoch(epoch):
            with compute.autocast():
                logits_BK = net(x)
            F.cross_entropy(
                logits_BK.float(), label_B, label_smoothing=plan.smoothing, reduction="sum"
            ).backward()
            for mover, rates in zip(movers, highest, strict=True):
                for group, rate in zip(mover.param_groups, rates, strict=True):
                    group["lr"] = rate * (1 - step / steps)
                mover.step()
                mover.zero_grad()
            unit_rows(matrices)
            step += 1


@torch.no_grad()
def unit_rows(matrices: list[torch.nn.Parameter]) -> None:
    """Each matrix back to the size of one with rows of length 1: batch norm does not see it, and
    Muon's steps stay the same share of the weights."""
    for matrix_OF in matrices:
        matrix_OF.mul_(len(matrix_OF) ** 0.5 / matrix_OF.norm())


@torch.inference_mode()
def score(net: SpeedNet, data: Data, compute: Compute) -> float:
    """The share of the test pictures that is right, by the mean over six views."""
    net.eval()
    right = torch.zeros((), device=compute.device)
    parts = zip(data.test_NCHW.split(VIEWED), data.test_label_N.split(VIEWED), strict=True)
    with compute.autocast():
        for x, label_B in parts:
            right += (over_views(net, six_views(x)).argmax(1) == label_B).sum()
    return right.item() / len(data.test_label_N)


def race(data: Data, plan: Plan, compute: Compute, runs: int) -> tuple[list[float], list[float]]:
    """Accuracy and seconds of each run; one more before them compiles and is not counted."""
    classes = int(data.label_N.max()) + 1
    net = compute.place(SpeedNet(plan.widths, data.x_NCHW.shape[1], classes))
    if compute.device.type == "cuda":
        net.compile(mode="max-autotune")
    scores, seconds = [], []
    for seed in range(runs + 1):
        began = now(compute.device)
        train(net, data, plan, compute=compute, seed=seed)
        found = score(net, data, compute)
        took = now(compute.device) - began
        print(f"  run {seed}: {found:.4f} in {took:.3f} s{'' if seed else ', not counted'}")
        scores.append(found)
        seconds.append(took)
    return scores[1:], seconds[1:]


def now(device: torch.device) -> float:
    """Seconds, when the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peer(script: Path, runs: int) -> tuple[list[float], list[float]]:
    """airbench's own script -> accuracy and seconds of its runs; the first warms up.

    It prints a table whose rows `eval` end with the accuracy and the seconds of a run.
    """
    words = [sys.executable, "-u", script.name]
    scores, seconds = [], []
    with subprocess.Popen(words, cwd=script.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) < 3 or "eval" not in cells:
                continue
            scores.append(float(cells[-2]))
            seconds.append(float(cells[-1]))
            if len(scores) > runs:
                process.terminate()
                break
    if len(scores) <= runs:
        raise SnellenError(f"{script} ended after {len(scores)} of {runs + 1} runs; see above")
    return scores[1:], seconds[1:]


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    said.add_argument("data", nargs="?", help="a .npz of CIFAR-10, or any pictures of one size")
    said.add_argument("--peer", type=Path, help="airbench94_muon.py or another of its scripts")
    said.add_argument("--runs", type=int, default=5)
    words = said.parse_args()
    compute = here()
    is_full = compute.device.type == "cuda" and words.data is not None
    data = load(words.data, compute)
    scores, seconds = race(data, Plan() if is_full else SMALL, compute, words.runs)
    wanted = 0.94 if is_full else 0.9
    what = "test pictures" if words.data else "generated pictures"
    goals = {f"speedrun, {what}, accuracy, mean": (statistics.mean(scores), wanted, "at least")}
    facts = {"device": describe(compute), "scores": scores, "seconds": seconds}
    if words.peer:
        facts["peer_scores"], facts["peer_seconds"] = peer(words.peer.resolve(), words.runs)
        ratio = statistics.median(seconds) / statistics.median(facts["peer_seconds"])
        goals["speedrun, seconds over airbench's, median"] = (ratio, 1.0, "at most")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from _timing import record_goals

    record_goals(f"speedrun_{compute.device.type}", goals, **facts)


def describe(compute: Compute) -> str:
    """The device's name, and what it computes in."""
    name = torch.cuda.get_device_name() if compute.device.type == "cuda" else "cpu"
    return f"{name}, {'float32' if compute.amp is None else 'bfloat16'}"


if __name__ == "__main__":
    main()
