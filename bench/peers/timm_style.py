"""A script in the manner of timm's: argparse, functions, autocast and GradScaler, an EMA copy,
parameter groups with and without weight decay, gradient clipping, warm-up and cosine, --json."""

import argparse
import copy
import math

import torch
from _digits import dataset, done, lr, network
from torch import nn
from torch.utils.data import DataLoader, Subset

parser = argparse.ArgumentParser()
parser.add_argument("fault", nargs="?")
parser.add_argument("--json", help="its own option, which is not the doctor's")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("-j", "--workers", type=int, default=0)


class Average:
    def __init__(self, net, decay=0.99):
        self.module, self.decay = copy.deepcopy(net).eval(), decay

    @torch.no_grad()
    def update(self, net):
        for kept, new in zip(self.module.parameters(), net.parameters(), strict=True):
            kept.mul_(self.decay).add_(new, alpha=1 - self.decay)


def groups(net):
    decay = [p for p in net.parameters() if p.dim() > 1]
    rest = [p for p in net.parameters() if p.dim() <= 1]
    return [{"params": rest, "weight_decay": 0.0}, {"params": decay, "weight_decay": 0.05}]


def train_one_epoch(epoch, net, loader, optimizer, schedule, loss_fn, scaler, average):
    net.train()
    for inputs, target in loader:
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_fn(net(inputs), target)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        average.update(net)
    return loss.item()


@torch.no_grad()
def validate(net, loader):
    net.eval()
    return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    args = parser.parse_args()
    data = dataset()
    train, val = Subset(data, range(1400)), Subset(data, range(1400, 1797))
    loader = DataLoader(train, 32, shuffle=True, num_workers=args.workers)
    net = network()
    average = Average(net)
    optimizer = torch.optim.AdamW(groups(net), lr(3e-3))
    total, warm = args.epochs * len(loader), 20
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(
        (t + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * min(1.0, t / total))))  # fmt: skip
    scaler = torch.amp.GradScaler("cpu")
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(args.epochs):
        loss = train_one_epoch(epoch, net, loader, optimizer, schedule, loss_fn, scaler, average)
        print(epoch, loss, validate(average.module, DataLoader(val, 128)))
    done(net, average.module)


if __name__ == "__main__":
    main()
