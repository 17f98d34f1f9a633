"""Learning rate over time: closed forms, and what a recipe's `schedule=` makes of them.

Time is counted from 0 in steps or epochs, as the constants are; `share` is the part of the training
that is done, in [0, 1]. Each gives a factor on the highest learning rate, and raises UsageError for
a time below 0 or a share outside [0, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..core.numbers import check_decays, check_positive, check_rates, check_shares
from ..core.parts import Part

WARM = 0.2  # share of one-cycle spent rising
WARM_UP = 0.05  # share of warmup-cosine spent rising
GROUP = "Schedules"
PARTS = {
    "Step decay": Part(
        GROUP, "sn.optim.step_decay, torch.optim.lr_scheduler.StepLR",
        "halve every k epochs; schedule=step half_life=k", "003"),
    "Exponential decay": Part(
        GROUP, "sn.optim.exponential_decay, torch.optim.lr_scheduler.ExponentialLR",
        "a0 e^(-kt); schedule=exponential half_life=ln2/k", "003"),
    "1/t decay": Part(
        GROUP, "sn.optim.inverse_decay, torch.optim.lr_scheduler.LambdaLR",
        "a0 / (1 + kt); schedule=inverse half_life=1/k", "003"),
    "Cosine": Part(GROUP, "sn.optim.cosine, torch.optim.lr_scheduler.CosineAnnealingLR",
                   "half a cosine from 1 to 0; schedule=cosine"),
    "Warm-up and cosine": Part(GROUP, "sn.optim.warmup_cosine, torch.optim.lr_scheduler.LinearLR",
                               "a line up, then a cosine; schedule=warmup-cosine"),
    "One cycle": Part(GROUP, "sn.optim.onecycle, torch.optim.lr_scheduler.OneCycleLR",
                      "up and down on cosines; schedule=onecycle, the usual one"),
    "Adam's own decay": Part(
        GROUP, "torch.optim.Adam",
        "its steps shrink where gradients disagree (|m| < sqrt v); lr itself stays: a schedule is "
        "another thing and adds to it", "001"),
}  # fmt: skip


def constant(share: float) -> float:
    """The same all the way.

    >>> constant(0.7)
    1.0
    """
    check_shares(share=share)
    return 1.0


def step_decay(time: float, every: float, factor: float = 0.5) -> float:
    """time, length of a step in the same unit -> factor ** (whole steps that are over).

    Raises UsageError where the step has no length.

    >>> [step_decay(epoch, every=10) for epoch in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    check_rates(time=time, factor=factor)
    check_positive(every=every)
    return factor ** math.floor(time / every + 1e-9)  # 3.0 may have come as 2.9999999999999996


def exponential_decay(time: float, rate: float) -> float:
    """time, k -> e^(-k time). Raises UsageError for a k below 0.

    >>> round(exponential_decay(10, rate=math.log(2) / 10), 9)
    0.5
    """
    check_rates(time=time, rate=rate)
    return math.exp(-rate * time)


def inverse_decay(time: float, rate: float) -> float:
    """time, k -> 1 / (1 + k time). Raises UsageError for a k below 0.

    >>> inverse_decay(10, rate=0.1)
    0.5
    """
    check_rates(time=time, rate=rate)
    return 1 / (1 + rate * time)


def cosine(share: float) -> float:
    """Half a cosine from 1 to 0 (arXiv:1608.03983).

    >>> round(cosine(0.5), 6)
    0.5
    """
    check_shares(share=share)
    return 0.5 * (1.0 + math.cos(math.pi * share))


def warmup_cosine(share: float, warm: float = WARM_UP, low: float = 0.01) -> float:
    """A straight line from `low` up to 1 at share `warm`, then half a cosine down to 0.

    Raises UsageError where `warm` is not below 1: no time would be left for the cosine.

    >>> warmup_cosine(0.0), warmup_cosine(0.05), round(warmup_cosine(0.525), 6)
    (0.01, 1.0, 0.5)
    """
    check_shares(share=share, low=low)
    check_decays(warm=warm)
    if share < warm:
        return low + (1.0 - low) * share / warm
    return cosine((share - warm) / (1.0 - warm))


def onecycle(share: float) -> float:
    """From 1/25 up to 1, then down to nearly 0, both on a cosine (arXiv:1708.07120).

    >>> onecycle(WARM)
    1.0
    """
    check_shares(share=share)
    if share < WARM:
        low = 1 / 25
        return low + (1.0 - low) * 0.5 * (1.0 - math.cos(math.pi * share / WARM))
    low = 1e-4
    return low + (1.0 - low) * cosine((share - WARM) / (1.0 - WARM))


@dataclass(frozen=True)
class Moment:
    """Where a training stands, for a schedule."""

    share: float  # of the training that is done
    half_lives: float = 6.0  # in the whole training
    watched: float = 1.0  # the factor that follows from the losses seen, see plateau.py


SCHEDULES: dict[str, Callable[[Moment], float]] = {
    "constant": lambda now: constant(now.share),
    "step": lambda now: step_decay(now.share * now.half_lives, 1.0),
    "exponential": lambda now: exponential_decay(now.share * now.half_lives, math.log(2)),
    "inverse": lambda now: inverse_decay(now.share * now.half_lives, 1.0),
    "plateau": lambda now: now.watched,
    "cosine": lambda now: cosine(now.share),
    "warmup-cosine": lambda now: warmup_cosine(now.share),
    "onecycle": lambda now: onecycle(now.share),
}
DECAYS = ("step", "exponential", "inverse")  # those that half_life= is for
