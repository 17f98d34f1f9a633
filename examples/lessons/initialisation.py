"""Initial weights through depth: activations that fade, saturate, or keep their size.

The same standard normal inputs through 10 layers of tanh and 20 of ReLU, without any training. A
histogram a layer, each as high as the others. With weights of 0.01 all units fall silent; with
weights of 1 a tanh is saturated from the first layer on; 1/sqrt(n), which is Xavier's where layers
are equally wide, suits tanh; ReLU halves the square of what comes in, and He's factor of 2 gives
it back.

Notes 000, 002, 003: initialisation.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import _paper
from ._paper import BLUE, GREEN, INK, ORANGE, RED, SOFT

ORDER = 20
BINS = 40
TANH, RELU = "tanh, 10 layers", "ReLU, 20 layers"


@dataclass(frozen=True)
class Strip:
    """An initialisation: its histograms and the standard deviation of each layer's outputs."""

    heights_LN: Tensor
    std_L: Tensor


def schemes(width: int) -> dict[str, dict[str, float]]:
    """Activation -> name of an initialisation -> the weights' standard deviation."""
    one = width**-0.5
    return {
        TANH: {"0.01": 0.01, "1": 1.0, "1/√n, Xavier": one},
        RELU: {"0.01": 0.01, "1/√n, Xavier": one, "√(2/n), He": 2**0.5 * one},
    }


def measure(width: int = 500, samples: int = 400) -> dict[str, dict[str, Strip]]:
    """Activation -> initialisation -> what its layers put out."""
    found: dict[str, dict[str, Strip]] = {}
    for kind, stds in schemes(width).items():
        found[kind] = {}
        for name, std in stds.items():
            random = torch.Generator().manual_seed(0)
            h_BN = torch.randn(samples, width, generator=random)
            heights, spread = [], []
            for _ in range(10 if kind == TANH else 20):
                h_BN = h_BN @ (torch.randn(width, width, generator=random) * std)
                h_BN = h_BN.tanh() if kind == TANH else h_BN.relu()
                heights.append(_histogram(h_BN, kind))
                spread.append(h_BN.std())
            found[kind][name] = Strip(torch.stack(heights), torch.stack(spread))
    return found


def _histogram(h_BN: Tensor, kind: str) -> Tensor:
    """Shares over [-1, 1], for ReLU of what is not zero over [0, 3]; the largest is 1."""
    if kind == TANH:
        counts = torch.histc(h_BN, BINS, -1, 1)
    else:
        counts = torch.histc(h_BN[h_BN > 0], BINS, 0, 3)
    return counts / counts.max().clamp(min=1)


def draw(found: dict[str, dict[str, Strip]]) -> Any:
    """Strips of histograms at the left, the standard deviations through depth at the right."""
    drawn, axes = _paper.sheet(5.4, 6, 2, width_ratios=(3.1, 1))
    for block, (kind, strips) in enumerate(found.items()):
        colours = dict(zip(strips, (RED, ORANGE if kind == TANH else BLUE, GREEN), strict=True))
        for row, (name, strip) in enumerate(strips.items()):
            ax = axes[3 * block + row, 0]
            _strip(ax, strip, colours[name])
            ax.set_title(f"{kind}: weights {name}" if row == 0 else f"weights {name}", loc="left",
                         fontsize=9, color=INK)  # fmt: skip
        ax.set_xticks(*_layers(kind))
        right = _merged(drawn, axes[3 * block : 3 * block + 3, 1])
        _depth(right, strips, colours)
    return drawn


def _layers(kind: str) -> tuple[list[float], list[str]]:
    shown = range(1, 11) if kind == TANH else range(2, 21, 2)
    return [i + 0.45 for i in range(10)], [f"layer {n}" if i == 0 else str(n)
                                           for i, n in enumerate(shown)]  # fmt: skip


def _strip(ax: Any, strip: Strip, colour: str) -> None:
    """Ten histograms side by side: of 20 layers every second."""
    shown_LN = strip.heights_LN if len(strip.heights_LN) == 10 else strip.heights_LN[1::2]
    for i, heights_N in enumerate(shown_LN.tolist()):
        edges = [i + 0.9 * n / BINS for n in range(BINS + 1)]
        ax.stairs(heights_N, edges, fill=True, color=colour, linewidth=0)
        ax.plot((i, i + 0.9), (0, 0), color=SOFT, linewidth=0.7)
    ax.set(xlim=(-0.05, 9.95), ylim=(0, 1.12), xticks=[], yticks=[])


def _merged(drawn: Any, column: Any) -> Any:
    """One panel in the place of three."""
    spec = column[0].get_gridspec()
    start = column[0].get_subplotspec().rowspan.start
    for ax in column:
        ax.remove()
    ax = drawn.add_subplot(spec[start : start + 3, 1])
    _paper.bare(ax)
    return ax


def _depth(ax: Any, strips: dict[str, Strip], colours: dict[str, str]) -> None:
    _paper.dress(ax, "standard deviation", x="layer")
    ax.set(yscale="log")
    for name, strip in strips.items():
        ax.plot(range(1, len(strip.std_L) + 1), strip.std_L.clamp(min=1e-30), color=colours[name],
                linewidth=1.8)  # fmt: skip
        falls = bool(strip.std_L[0] > 10 * strip.std_L[-1])  # its name stands under the slope
        at = round(0.6 * len(strip.std_L)) if falls else len(strip.std_L)
        where = "top" if falls or name.startswith("1/") else "bottom"
        _paper.say(ax, (at, float(strip.std_L[at - 1])), name.partition(",")[0], colours[name],
                   ha="right", va=where)  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xticks((1, 5, 10) if len(strip.std_L) == 10 else (1, 10, 20))


def caption(found: dict[str, dict[str, Strip]]) -> str:
    """How much of the first layer's spread is left at the last."""
    tanh, relu = found[TANH], found[RELU]
    small = float(tanh["0.01"].std_L[-1] / tanh["0.01"].std_L[0])
    he = relu["√(2/n), He"].std_L
    kept = float(relu["1/√n, Xavier"].std_L[-1] / relu["1/√n, Xavier"].std_L[0])
    return (
        f"Ten tanh layers of weights 0.01 leave {small:.0e} of the first layer's spread; twenty "
        f"ReLU layers leave {kept:.0e} of it with 1/√n, and with He's √(2/n) it stays between "
        f"{float((he / he[0]).min()):.2f} and {float((he / he[0]).max()):.2f} of it."
    )
