"""A thin network of every kind learns: 20 digits by heart, then most of the unseen ones from 400.

By heart means a mean loss under 0.01 in eval mode, without dropout, within 150 steps of Adam. The
unseen are 400 other digits, told by three networks of different seeds, the worst of which counts;
what is to be beaten is always saying the most frequent class.

python bench/zoo_learns.py [NAME ...]      # only some networks; nothing is kept then
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snellen.models import listing, row
from snellen.models._network import Network
from snellen.models._row import changed, options
from snellen.nn.precise_norm import recompute_statistics

BY_HEART, STEPS, SEEDS = 0.01, 150, 3


def digits(side: int) -> tuple[Tensor, Tensor]:
    """Side -> x_B1HW standardised, in a fixed random order, and label_B."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(0))
    x_B1HW = torch.from_numpy(found.images).float()[order][:820, None]
    x_B1HW = F.interpolate((x_B1HW - x_B1HW.mean()) / x_B1HW.std(), size=(side, side))
    return x_B1HW, torch.from_numpy(found.target).long()[order][:820]


def thin(name: str, seed: int = 0) -> Network:
    """The row's thin network for gray digits, without dropout."""
    found = row(name)
    quiet = {o: 0.0 for o, v in options(found).items() if "dropout" in o and isinstance(v, float)}
    torch.manual_seed(seed)
    return changed(found, name, {**found.thin, **quiet}).make(10, 1)


def step(net: Network, optimizer: torch.optim.Optimizer, x: Tensor, label_B: Tensor) -> None:
    """One step on a batch; auxiliary heads count as their paper says."""
    logits = net.train()(x)
    loss = F.cross_entropy(logits, label_B)
    for aux in net.aux_logits:
        loss = loss + net.aux_weight * F.cross_entropy(aux, label_B)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def overfit(net: Network, x: Tensor, label_B: Tensor) -> tuple[float, int]:
    """Train on one batch -> its loss in eval mode, and the steps that it took."""
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    loss = float("inf")
    for taken in range(1, STEPS + 1):
        step(net, optimizer, x, label_B)
        if taken % 10 == 0:
            recompute_statistics(net.train(), [x])  # running ones lag behind so few steps
            with torch.no_grad():
                loss = F.cross_entropy(net.eval()(x), label_B).item()
            if loss < BY_HEART:
                break
    return loss, taken


def learn(net: Network, x: Tensor, label_B: Tensor, epochs: int = 4) -> None:
    """Some epochs of batches of 25.

    Batch norm bears larger steps (arXiv:1502.03167, 3.3): without it they are smaller, and twice as
    many.
    """
    normed = any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    rate, times = (3e-3, 1) if normed else (2e-3, 2)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    order = torch.Generator().manual_seed(0)
    for _ in range(times * epochs):
        for rows in torch.randperm(len(x), generator=order).split(25):
            step(net, optimizer, x[rows], label_B[rows])
    recompute_statistics(net.train(), x.split(200))


def accuracy(net: Network, x: Tensor, label_B: Tensor) -> float:
    """Share of right answers in eval mode."""
    with torch.no_grad():
        return (net.eval()(x).argmax(1) == label_B).float().mean().item()


def one_a_kind() -> list[str]:
    """Of the networks that differ in sizes only, the one whose thin form has the fewest parameters.

    What is left differs in family, or in a word or a switch among its columns.
    """
    smallest: dict[str, tuple[int, str]] = {}
    for name in listing():
        found = row(name)
        words = {k: v for k, v in options(found).items() if isinstance(v, str | bool)}
        with torch.device("meta"):
            net = changed(found, name, found.thin).make(10, 1)
        size, kind = sum(p.numel() for p in net.parameters()), repr((found.family, words))
        smallest[kind] = min(smallest.get(kind, (size, name)), (size, name))
    return sorted(name for _, name in smallest.values())


def main(names: list[str]) -> None:
    """Print a line a network, and keep the figures of all."""
    from _timing import record_goals

    torch.set_num_threads(1)
    rows = []
    for name in names or one_a_kind():
        start = time.process_time()
        x, label_B = digits(row(name).thin_size)
        loss, steps = overfit(thin(name), x[:20], label_B[:20])
        seconds = time.process_time() - start
        right = []
        for seed in range(SEEDS):
            net = thin(name, seed)
            learn(net, x[:400], label_B[:400])
            right.append(accuracy(net, x[420:], label_B[420:]))
        always = label_B[420:].bincount().max().item() / len(label_B[420:])
        rows.append({"name": name, "loss": loss, "steps": steps, "seconds": seconds,
                     "accuracies": right, "baseline": always})  # fmt: skip
        told = " ".join(f"{share:.3f}" for share in right)
        print(f"  {name:<26} 20 digits: loss {loss:.4f} in {steps:3d} steps, {seconds:5.1f} CPU s;"
              f"  others: accuracy {told}, baseline {always:.3f}", flush=True)  # fmt: skip
    if not names:
        record_goals(
            "zoo_learns",
            {
                "thin networks, worst loss on 20 digits": (
                    max(r["loss"] for r in rows), BY_HEART, "at most"),
                "thin networks, worst accuracy on unseen digits": (
                    min(min(r["accuracies"]) for r in rows), 3 * rows[0]["baseline"], "at least"),
            },
            rows=rows,
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
