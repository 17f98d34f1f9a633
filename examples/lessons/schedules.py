"""Schedules: a high learning rate gets near, a falling one gets nearer.

The factor on the learning rate over a training, by the functions that `schedule=` uses. At the
right what they are for: least squares with noisy targets, SGD with one sample a step, the peak
rate the same for all. The constant rate stops where its steps are as large as what is left to go;
one that falls leaves that floor. `plateau` waits until the loss has stopped falling.

Notes 001, 003: learning rate decay.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from snellen.optim.plateau import LossWatch
from snellen.optim.schedules import SCHEDULES, Moment

from . import _paper
from ._paper import BLUE, GREEN, INK, ORANGE, RED, SOFT

ORDER = 60
SHOWN = {"constant": RED, "step": ORANGE, "plateau": INK, "inverse": SOFT, "cosine": GREEN}
NUM_WEIGHTS, PEAK, EPOCHS, SEEDS = 20, 0.02, 50, 16


@dataclass(frozen=True)
class Run:
    """The factor of each epoch, and the mean squared distance of the weights from the truth."""

    factor_E: np.ndarray
    error_E: np.ndarray


def measure(epoch: int = 80) -> dict[str, Run]:
    """Every schedule on the same samples; `epoch` is the samples, and steps, of an epoch."""
    return {name: train(name, epoch) for name in SCHEDULES}


def train(name: str, epoch: int) -> Run:
    """Several seeds side by side, all rows of w_SD; a watching schedule sees their mean loss."""
    random = np.random.RandomState(0)
    truth_D = random.randn(NUM_WEIGHTS)
    w_SD, watch, watched = np.zeros((SEEDS, NUM_WEIGHTS)), LossWatch(), 1.0
    factors, errors = [], []
    for e in range(EPOCHS):
        loss = 0.0
        for t in range(epoch):
            x_SD = random.randn(SEEDS, NUM_WEIGHTS)
            miss_S = ((w_SD - truth_D) * x_SD).sum(1) + random.randn(SEEDS)
            share = (e * epoch + t) / (EPOCHS * epoch)
            factor = SCHEDULES[name](Moment(share, watched=watched))
            w_SD -= PEAK * factor * miss_S[:, None] * x_SD
            loss += float((miss_S**2).mean()) / 2 / epoch
            if t == 0:
                factors.append(factor)
        watched = watch.see(loss)
        errors.append(((w_SD - truth_D) ** 2).sum(1).mean())
    return Run(np.array(factors), np.array(errors))


def draw(runs: dict[str, Run]) -> Any:
    """A small panel a schedule; some of the errors in a large one."""
    drawn, axes = _paper.sheet(3.4, 2, 6)
    for ax, (name, run) in zip(axes[:, :4].flat, runs.items(), strict=True):
        _paper.dress(ax, name)
        ax.fill_between(range(EPOCHS), run.factor_E, color=BLUE, alpha=0.22, linewidth=0)
        ax.plot(run.factor_E, color=BLUE, linewidth=1.6)
        ax.set(ylim=(0, 1.08), yticks=(0, 0.5, 1), xticks=(0, EPOCHS), xlim=(0, EPOCHS))
        ax.label_outer()
    axes[0, 0].set_yticks((0, 0.5, 1))
    spec = axes[0, 4].get_gridspec()
    for ax in axes[:, 4:].flat:
        ax.remove()
    right = drawn.add_subplot(spec[:, 4:])
    _paper.bare(right)
    _paper.dress(right, "squared distance left", x="epoch")
    for name, colour in SHOWN.items():
        right.plot(range(1, EPOCHS + 1), runs[name].error_E, color=colour, linewidth=1.4)
    right.set(yscale="log", xlim=(0, 1.45 * EPOCHS), xticks=(0, EPOCHS))
    drawn.draw_without_rendering()
    ends = [(name, runs[name].error_E[-1], colour) for name, colour in SHOWN.items()]
    _paper.name_ends(right, ends, x=EPOCHS, gap=0.065)
    return drawn


def caption(runs: dict[str, Run]) -> str:
    """Where the constant rate stops, and how much nearer the others get."""
    floor = runs["constant"].error_E[-10:].mean()
    ends = {name: run.error_E[-1] for name, run in runs.items()}
    drop = int((runs["plateau"].factor_E < 1).argmax())
    return (
        f"The constant rate stays at {floor:.2f} from the goal; at the end of the same steps step "
        f"decay is at {ends['step']:.3f}, 1/t at {ends['inverse']:.3f}, cosine at "
        f"{ends['cosine']:.4f}; plateau saw the loss stop falling and cut the rate in epoch "
        f"{drop + 1}."
    )
