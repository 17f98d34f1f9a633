"""The slope of a function along a line: centred differences, and how far they can be trusted.

Two steps must agree. Where they do not, the step is made longer and shorter (the notes' advice:
try 1e-4 or 1e-6), and the pair that agrees best is believed. A kink shows in the difference of the
one-sided slopes, which falls with the step where a function is smooth and stays where it has one.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from .rules import WRONG, Rules
from .subject import Subject

STEP = 2.0**-17  # a power of two: x + h and x - h are then exact
SHORTER, LONGER, LONGEST = (
    [STEP * 8.0**k for k in steps] for steps in ((0, -1, -2, -3), (2, 1, 0), (4, 3))
)
AGAIN = (1.0, 0.93, 0.86, 0.79)  # shares of a step, to see how far rounding scatters
SURE, AGREE, FLAT = 1e-6, 1e-3, 4.0


@dataclass(frozen=True)
class Slope:
    """`numeric` is right to within `doubt`, of which `noise` is rounding.

    `why` it tells nothing, "" where it does: kink (or the edge of what is defined; there is no
    number then) or rounding (there is one, and it may be off by as much as its size).
    """

    numeric: float | None
    doubt: float = 0.0
    noise: float = 0.0
    why: str = ""
    step: float = 0.0


class Line:
    """A straight line through a tensor: along one of its numbers, or a direction of its shape.

    >>> x = torch.zeros(2)
    >>> Line(x, (1,)).to(0.5); x
    tensor([0.0000, 0.5000])
    """

    def __init__(self, tensor: Tensor, along: tuple[int, ...] | Tensor) -> None:
        self.tensor, self.along = tensor, along
        start = tensor.detach()
        self.start = start.clone() if isinstance(along, Tensor) else start[along].clone()
        self.scale = max(1.0, float(self.start.abs().max()))  # the step grows with |x|

    @torch.no_grad()
    def to(self, h: float) -> None:
        """Move the tensor to `h` along the line; 0 is where it was, to the bit."""
        if isinstance(self.along, Tensor):
            self.tensor.copy_(self.start + h * self.along if h else self.start)
        else:
            self.tensor[self.along] = self.start + h if h else self.start


@dataclass(frozen=True)
class _Look:
    slope: float
    bend: float  # how far the slopes to the left and to the right are apart
    noise: float


class Ruler:
    """Measures slopes of a subject; it counts its evaluations.

    `largest` is the largest gradient of all: what autograd rounds away beside it is no slope.
    """

    def __init__(self, subject: Subject, rules: Rules, largest: float = 0.0) -> None:
        self.subject, self.rules, self.evaluations = subject, rules, 0
        self.here_N = self._out()
        self.eps = torch.finfo(self.here_N.dtype).eps
        self.faint = 64 * self.eps * largest
        self.dull = AGREE * (largest or float("inf"))  # rounding beyond this hides all slopes
        self.weights_N = subject.weights_N.to(self.here_N)

    def _out(self) -> Tensor:
        self.evaluations += 1
        return self.subject.run().detach()

    def slope(self, line: Line, analytic: float) -> Slope:
        """The slope along a line. What autograd says decides only how closely it is looked at."""
        scale = 2.0 ** torch.tensor(line.scale).log2().floor().item()
        if not self.rules.kinks:
            one = self._look(line, (self.rules.step or STEP) * scale)
            return Slope(one.slope, one.noise, one.noise) if one else Slope(None, why="kink")
        h = self.rules.step or STEP
        found = Slope(None)
        is_free = self.rules.steps and self.rules.step is None
        for steps in ([h, h / 2], SHORTER, LONGER, LONGEST) if is_free else ([h, h / 2],):
            new = self._best(line, [step * scale for step in steps], analytic)
            found = min(found, new, key=lambda s: math.inf if s.numeric is None else s.doubt)
            if self._is_settled(found, analytic, SURE):
                break
        if self._is_settled(found, analytic, AGREE):
            is_hidden = 0 < abs(analytic) <= self.faint and self._is_flat(found, analytic)
            return replace(found, why="rounding") if is_hidden else found
        if found.numeric is None or found.noise <= found.doubt / 2:
            return Slope(None, why="kink")
        if is_free and abs(found.numeric - analytic) > FLAT * found.doubt:
            return self._again(line, found, analytic)
        return replace(found, why="rounding")

    def _again(self, line: Line, found: Slope, analytic: float) -> Slope:
        """A slope that is off by more than rounding should be: by several steps, to be sure."""
        looks = [self._look(line, found.step * share) for share in AGAIN]
        slopes = [look.slope for look in looks if look is not None]
        if len(slopes) < len(AGAIN):
            return Slope(None, why="kink")
        numeric = sum(slopes) / len(slopes)
        doubt = FLAT * (found.doubt + max(slopes) - min(slopes))
        is_off = abs(numeric - analytic) - doubt > WRONG * max(abs(numeric), abs(analytic))
        return Slope(numeric, doubt, doubt / FLAT, "" if is_off else "rounding")

    def _best(self, line: Line, steps: list[float], analytic: float) -> Slope:
        """Of neighbouring steps those whose slopes differ least, kinks left out."""
        looks = ((h, self._look(line, h)) for h in steps)
        best = Slope(None)
        for (wide, before), (h, now) in pairwise(looks):
            if before is None or now is None or _is_kinked(before, now, wide / h):
                continue
            doubt = abs(now.slope - before.slope) + now.noise
            if best.numeric is None or doubt < best.doubt:
                best = Slope(now.slope, doubt, now.noise, step=h)
            if self._is_settled(best, analytic, SURE):
                break
        return best

    def _is_settled(self, found: Slope, analytic: float, share: float) -> bool:
        """Whether the doubt is a small share of the slope, or autograd says zero and nothing moves.

        Where autograd says NaN or infinity any slope will do.
        """
        if found.numeric is None or not abs(analytic) < math.inf:
            return found.numeric is not None
        size = max(abs(found.numeric), abs(analytic))
        return self._is_flat(found, analytic) or found.doubt <= share * size

    def _is_flat(self, found: Slope, analytic: float) -> bool:
        """Whether both slopes are but rounding, which hides no slope that counts beside others."""
        assert found.numeric is not None
        is_still = abs(found.numeric) <= FLAT * found.noise and found.noise <= self.dull
        return is_still and abs(analytic) <= self.faint

    def _look(self, line: Line, h: float) -> _Look | None:
        """One difference; None where the function has no finite value, or one of another shape."""
        line.to(h)
        above_N = self._out()
        line.to(-h)
        below_N = self._out()
        line.to(0.0)
        if not above_N.shape == below_N.shape == self.here_N.shape:
            return None
        here_N = self.here_N
        if self.rules.centred:
            change_N, width = above_N - below_N, 2 * h
        else:
            change_N, width = above_N - here_N, h
        slope = float((self.weights_N * change_N).sum()) / width
        bend = float((self.weights_N * (above_N - 2 * here_N + below_N)).abs().sum()) / h
        if not abs(slope) < float("inf") or not bend < float("inf"):
            return None
        # What has changed was rounded, and the errors of many numbers add up as a root; of what has
        # not, the largest may have moved by less than it can show.
        sizes_N = (self.weights_N * here_N).abs()
        rounded = 2 * float((sizes_N * (change_N != 0)).norm()) + float(sizes_N.max())
        noise = 4 * self.eps * rounded / width + self.faint
        return _Look(slope, bend, noise)


def _is_kinked(before: _Look, now: _Look, ratio: float) -> bool:
    """The bend of a smooth function falls as the step does, rounding grows; a kink's stays."""
    if now.bend <= max(SURE * abs(now.slope), 8 * now.noise):
        return False
    return ratio**-0.5 < now.bend / before.bend < ratio**0.5 if before.bend else True
