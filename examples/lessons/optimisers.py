"""Optimisers on a surface: how each goes down a long bowl and through a bend.

The bowl is 40 times as steep across as along, and lies along the axes: what rates of their own are
for. Beale's function falls steeply, then the way bends and is nearly flat. Each optimiser is
Snellen's by its name and starts at the same point; of learning rates from 0.0001 to 100, three a
decade, it is shown with the one that is lowest at the end, of those that never climb above the
start. One rate for both directions is at the left, a rate of its own for each in the middle.

Notes 001, 003, 004: optimisers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import snellen as sn

from . import _paper
from ._paper import AMBER, BLUE, GREEN, INK, ORANGE, RED, SOFT

ORDER = 40
ONE_RATE = {"sgd": SOFT, "momentum": BLUE, "nesterov": GREEN}
OWN_RATES = {"adagrad": AMBER, "rmsprop": ORANGE, "adadelta": INK, "adam": RED}
NAMES = {"sgd": "SGD", "momentum": "momentum", "nesterov": "Nesterov", "adagrad": "AdaGrad",
         "rmsprop": "RMSProp", "adadelta": "Adadelta", "adam": "Adam"}  # fmt: skip
BOWL, BEND = "a long bowl", "Beale's function"
RATES = tuple(10 ** (k / 3) for k in range(-12, 7))


@dataclass(frozen=True)
class Surface:
    """A function of two numbers (x_2N -> value_N), where it starts, and the window to show."""

    function: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    window: tuple[float, float, float, float]  # x from, to, y from, to


def beale(point_2N: Tensor) -> Tensor:
    """point_2N -> value_N; its minimum is 0 at (3, 1/2)."""
    x, y = point_2N
    pairs = ((1.5, 1), (2.25, 2), (2.625, 3))
    return torch.stack([(c - x + x * y**k) ** 2 for c, k in pairs]).sum(0)


SURFACES = {
    BOWL: Surface(lambda p: (p[0] ** 2 + 40 * p[1] ** 2) / 2, (-9.0, 1.6), (-10, 5, -2.2, 2.2)),
    BEND: Surface(beale, (1.0, 1.5), (-1.4, 3.8, -2.0, 1.9)),
}


@dataclass(frozen=True)
class Path:
    """The points x_T2 that an optimiser visits, their values, and the rate it had."""

    x_T2: Tensor
    value_T: Tensor
    lr: float


def measure(num_steps: int = 120, rates: Sequence[float] = RATES) -> dict[str, dict[str, Path]]:
    """Surface -> optimiser -> its best path."""
    return {name: {kind: best(surface, kind, num_steps, rates) for kind in NAMES}
            for name, surface in SURFACES.items()}  # fmt: skip


def best(surface: Surface, kind: str, num_steps: int, rates: Sequence[float]) -> Path:
    """The path that is lowest at the end, of those that never climb above the start."""
    paths = [walk(surface, kind, num_steps, lr) for lr in rates]
    return min((path for path in paths if len(path.value_T) > num_steps),
               key=lambda path: float(path.value_T[-1]))  # fmt: skip


def walk(surface: Surface, kind: str, num_steps: int, lr: float) -> Path:
    """The path of one optimiser with one learning rate, until it is above its start."""
    x_2 = torch.nn.Parameter(torch.tensor(surface.start, dtype=torch.float64))
    memory = {"sgd": {"momentum": 0.0}, "rmsprop": {"decay": 0.9}}.get(kind, {})
    optimizer = sn.optim.build(kind, [x_2], lr=lr, **memory)
    points, values = [], []
    for _ in range(num_steps + 1):
        value = surface.function(x_2)
        points.append(x_2.detach().clone())
        values.append(value.detach())
        if not values[-1] <= values[0]:
            break
        (x_2.grad,) = torch.autograd.grad(value, x_2)
        optimizer.step()
    return Path(torch.stack(points), torch.stack(values), lr)


def draw(found: dict[str, dict[str, Path]]) -> Any:
    """A row a surface: two maps with the paths, and the values step by step."""
    drawn, axes = _paper.sheet(5.4, 2, 3)
    for row, (name, paths) in zip(axes, found.items(), strict=True):
        for ax, group, words in ((row[0], ONE_RATE, "one rate"), (row[1], OWN_RATES, "own rates")):
            _paper.empty(ax, f"{name}, {words}")
            _map(ax, SURFACES[name])
            for kind, colour in group.items():
                x, y = paths[kind].x_T2.T
                ax.plot(x, y, color=colour, linewidth=1.3)
        _values(row[2], paths, last=name == BEND)
    drawn.draw_without_rendering()
    for row, paths in zip(axes, found.values(), strict=True):
        colours = {**ONE_RATE, **OWN_RATES}
        ends = [(NAMES[k], max(float(p.value_T[-1]), 1e-8), colours[k]) for k, p in paths.items()]
        _paper.name_ends(row[2], ends, x=len(paths["sgd"].value_T) - 1, gap=0.082)
    return drawn


def _map(ax: Any, surface: Surface) -> None:
    left, right, low, high = surface.window
    x, y = torch.meshgrid(torch.linspace(left, right, 120), torch.linspace(low, high, 90),
                          indexing="xy")  # fmt: skip
    levels = [0.3 * 3**k for k in range(-1, 7)]
    ax.contour(x, y, surface.function(torch.stack((x, y))), levels, colors=SOFT, linewidths=0.5,
               alpha=0.55)  # fmt: skip
    goal = (0, 0) if surface is SURFACES[BOWL] else (3, 0.5)
    ax.plot(*goal, "+", color=INK, markersize=8, zorder=5)
    ax.plot(*surface.start, "o", color=INK, markersize=4, zorder=5)
    ax.set(xlim=(left, right), ylim=(low, high))


def _values(ax: Any, paths: dict[str, Path], last: bool) -> None:
    _paper.dress(ax, "value", x="step" if last else "")
    colours, num_steps = {**ONE_RATE, **OWN_RATES}, len(paths["sgd"].value_T) - 1
    for kind, path in paths.items():
        ax.plot(path.value_T, color=colours[kind], linewidth=1.3)
    low = 1e-5 if last else 1e-8
    ax.set(yscale="log", ylim=(low, None), xlim=(0, 1.45 * num_steps), xticks=(0, num_steps))


def caption(found: dict[str, dict[str, Path]]) -> str:
    """Steps to a thousandth of the start on the bowl; who is ahead on Beale's function."""
    steps = {kind: num_steps_to(path, 1e-3) for kind, path in found[BOWL].items()}
    ends = {kind: float(path.value_T[-1]) for kind, path in found[BEND].items()}
    ahead, behind = min(ends, key=lambda k: ends[k]), max(ends, key=lambda k: ends[k])
    return (
        f"A thousandth of the bowl's height is reached by SGD in {steps['sgd']} steps, with "
        f"momentum in {steps['momentum']}, by Adam in {steps['adam']}; on Beale's "
        f"function {NAMES[ahead]} is lowest after {len(found[BEND]['sgd'].value_T) - 1} steps "
        f"({ends[ahead]:.0e}) and {NAMES[behind]} highest ({ends[behind]:.0e})."
    )


def num_steps_to(path: Path, share: float) -> int:
    """The first step from which a path stays under this share of its first value."""
    above = (path.value_T > share * path.value_T[0]).nonzero()
    return int(above[-1]) + 1
