"""The degradation problem, arXiv:1512.03385: deeper plain nets train worse, ResNets do not.

Plain and residual nets of 20 and 56 layers, half as wide as the paper's, on scikit-learn's digits
(8x8, 1,000 of them), by the paper's SGD. What counts is the error on the training data, so
overfitting has no part in it. The picture is docs/degradation.svg.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import snellen as sn

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "degradation.svg"
NETS = ("plain20_cifar", "plain56_cifar", "resnet20_cifar_A", "resnet56_cifar_A")
EPOCHS, SEEDS, IMAGES, BATCH = 20, 3, 1000, 50


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """x_B1HW standardised, label_B."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x_B1HW = torch.from_numpy(found.images).float()[:IMAGES, None]
    return (x_B1HW - x_B1HW.mean()) / x_B1HW.std(), torch.from_numpy(found.target)[:IMAGES].long()


def train(name: str, seed: int) -> list[float]:
    """Network and seed -> its share of wrong answers on the training data, epoch by epoch."""
    x_B1HW, label_B = digits()
    torch.manual_seed(seed)
    net = sn.model(name, classes=10, channels=1, width=8)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    errors = []
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:  # the paper divides by ten on the way
            group["lr"] = 0.1 if epoch < EPOCHS * 3 // 4 else 0.01
        wrong = 0
        for rows in torch.randperm(IMAGES).split(BATCH):
            logits = net(x_B1HW[rows])
            optimizer.zero_grad()
            F.cross_entropy(logits, label_B[rows]).backward()
            optimizer.step()
            wrong += int((logits.argmax(1) != label_B[rows]).sum())
        errors.append(wrong / IMAGES)
    return errors


def draw(curves: dict[str, list[list[float]]]) -> None:
    """Training error by epoch: thin lines are seeds, thick ones their mean; plain left."""
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "snellen"
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True, layout="constrained")
    for axis, family in zip(axes, ("plain", "resnet"), strict=True):
        for name in (n for n in NETS if n.startswith(family)):
            depth = "56" if "56" in name else "20"
            colour = "#c1442e" if depth == "56" else "#2b6ca3"
            epochs = range(1, EPOCHS + 1)
            for errors in curves[name]:
                axis.plot(epochs, errors, color=colour, alpha=0.3, linewidth=0.8)
            mean = [statistics.mean(values) for values in zip(*curves[name], strict=True)]
            axis.plot(epochs, mean, color=colour, linewidth=2, label=f"{depth} layers")
        axis.set(title=f"{family} nets", xlabel="epoch", ylim=(0, 1), xticks=(1, 5, 10, 15, 20))
        axis.legend(frameon=False)
    axes[0].set_ylabel("error on the training data")
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Train, draw, record."""
    from _timing import record_goals

    torch.set_num_threads(1)
    start = time.process_time()
    curves: dict[str, list[list[float]]] = {name: [] for name in NETS}
    for seed in range(SEEDS):
        for name in NETS:
            curves[name].append(train(name, seed))
            last = curves[name][-1][-1]
            print(f"  seed {seed}: {name:<18} training error {last:.3f}", flush=True)
    draw(curves)
    last = {name: [errors[-1] for errors in runs] for name, runs in curves.items()}
    facts: dict[str, Any] = {"curves": curves, "seconds": time.process_time() - start}
    plain = [b - a for a, b in zip(last[NETS[0]], last[NETS[1]], strict=True)]
    residual = [b - a for a, b in zip(last[NETS[2]], last[NETS[3]], strict=True)]
    record_goals(
        "degradation",
        {
            "training error, plain-56 less plain-20, least of the seeds": (
                min(plain), 0.1, "at least"),
            "training error, ResNet-56 less ResNet-20, most of the seeds": (
                max(residual), 0.01, "at most"),
        },
        **facts,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
