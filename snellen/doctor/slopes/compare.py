"""Autograd beside the differences: some numbers of each tensor, and all of it along a direction.

The tensors take turns, so that where time is short each has been looked at. The largest slope of a
tensor comes first. A direction through all numbers tells whether one that was not drawn is wrong;
halving it finds which.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .measure import AGREE, FLAT, SURE, Line, Ruler, Slope
from .rules import KINKS, WRONG, Rules
from .subject import Leaf, Subject, backward

TRIES = 3  # times as many places are drawn where some lie on kinks
MORE = 48  # places of a wrong tensor, to see how it is wrong


@dataclass(frozen=True)
class Place:
    """One number of a tensor: both slopes, their relative error, and how sure the second is."""

    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    doubt: float = 0.0  # by how much `numeric` may be off


@dataclass
class Seen:
    """What is known of a tensor."""

    leaf: Leaf
    grad: Tensor  # zeros where none arrives
    arrives: bool
    used: int  # when the forward pass last used it
    own: tuple[str, ...] = ()  # the user's autograd functions from there on
    places: list[Place] = field(default_factory=list)
    tried: int = 0
    passed: dict[str, int] = field(default_factory=dict)  # why -> how many were passed over
    where: list[tuple[int, ...]] = field(default_factory=list)  # those passed over
    moves: bool = False  # more than rounding was measured, or autograd says what is not there
    small: Place | None = None  # the largest slope of those that rounding hides

    @property
    def worst(self) -> Place | None:
        """The place of the largest error; NaN is the largest of all.

        None as well where slopes were lost in rounding and only zeros are left.
        """
        if self.small and not self.moves:
            return None
        return max(self.places, key=_gravity, default=None)

    @property
    def is_wrong(self) -> bool:
        """Whether a place is worse than the notes' 1e-2."""
        return self.worst is not None and not self.worst.error <= WRONG


def _gravity(place: Place) -> float:
    return place.error if place.error == place.error else float("inf")


class Comparison:
    """A subject under the rules; `look` until the time is over, `seen` is what was found."""

    def __init__(self, subject: Subject, rules: Rules, seed: int = 0) -> None:
        self.rules, self.subject = rules, subject
        self.draw = torch.Generator().manual_seed(seed)
        said = backward(subject)
        largest = max((float(g.abs().max().nan_to_num(0.0)) for g in said.grads
                       if g is not None and g.numel()), default=0.0)  # fmt: skip
        self.ruler = Ruler(subject, rules, largest if largest < float("inf") else 0.0)
        self.seen = [
            Seen(leaf, torch.zeros_like(leaf.tensor) if g is None else g.detach(), g is not None,
                 used, tuple(dict.fromkeys(name for at, name in said.own if at >= used)))
            for leaf, g, used in zip(subject.leaves, said.grads, said.used, strict=True)
        ]  # fmt: skip

    def look(self, end: float = float("inf")) -> list[Seen]:
        """Turn by turn until each tensor has its numbers, or `time.monotonic()` is past `end`."""
        turns = [(seen, self._turns(seen)) for seen in self.seen if seen.grad.numel()]
        if not self.rules.each:
            turns = [(self.seen[0], self._drawn_from_all())]
        while turns:
            for turn in list(turns):
                if time.monotonic() > end:
                    return self.seen
                if next(turn[1], None) is None:
                    turns.remove(turn)
        return self.seen

    def _turns(self, seen: Seen) -> Iterator[bool]:
        count, total = self.rules.numbers, seen.grad.numel()
        for number, flat in enumerate(self._order(seen.grad, TRIES * count)):
            if len(seen.places) + seen.passed.get("rounding", 0) >= count and total > count:
                break
            self.place(seen, flat)
            yield True
            if not number and total > count:  # after the first place: all at once
                yield self._hunt(seen)

    def _order(self, grad: Tensor, count: int) -> list[int]:
        """The place of the largest slope, then others as drawn; all where there are few."""
        total = grad.numel()
        first = int(grad.abs().nan_to_num(float("inf")).argmax())
        if total <= 1 << 20:
            drawn = torch.randperm(total, generator=self.draw)[:count].tolist()
        else:
            drawn = torch.randint(total, (count,), generator=self.draw).tolist()
        return list(dict.fromkeys([first, *drawn]))

    def _drawn_from_all(self) -> Iterator[bool]:
        sizes = torch.tensor([s.grad.numel() for s in self.seen])
        ends = sizes.cumsum(0)
        for flat in torch.randint(int(ends[-1]), (self.rules.numbers,), generator=self.draw):
            at = int(torch.searchsorted(ends, flat, right=True))
            self.place(self.seen[at], int(flat - ends[at] + sizes[at]))
            yield True

    def place(self, seen: Seen, flat: int) -> None:
        """Compare at one number of a tensor."""
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), seen.grad.shape))
        if any(p.index == index for p in seen.places) or index[:1] == (seen.leaf.fixed,):
            return
        analytic = float(seen.grad[index])
        slope = self.ruler.slope(Line(seen.leaf.tensor, index), analytic)
        seen.tried += 1
        if slope.why:
            seen.passed[slope.why] = seen.passed.get(slope.why, 0) + 1
            seen.where.append(index)
        if slope.numeric is None:
            return
        error = self._error(analytic, slope)
        found = Place(index, analytic, slope.numeric, error, slope.doubt)
        if not slope.why:
            seen.moves |= abs(slope.numeric) > FLAT * slope.noise or not error <= KINKS
            seen.places.append(found)
        elif seen.small is None or abs(analytic) > abs(seen.small.analytic):
            seen.small = found

    def _error(self, analytic: float, slope: Slope) -> float:
        """The notes' relative error; a difference that rounding explains is none.

        So a slope of zero needs no floor: what is below the rounding of float64 agrees.
        """
        assert slope.numeric is not None
        apart = abs(analytic - slope.numeric)
        size = max(abs(analytic), abs(slope.numeric))
        doubt = slope.doubt if self.rules.step is None else slope.noise
        beyond = apart if doubt <= KINKS / 2 * size else max(0.0, apart - doubt)
        if apart != apart or size == float("inf"):
            return float("nan")
        return (beyond / size if size else 0.0) if self.rules.relative else apart

    def _hunt(self, seen: Seen) -> bool:
        """Where the slope along a direction through all is wrong, compare at the place at fault."""
        if seen.is_wrong or not bool(seen.grad.isfinite().all()):
            return True
        signs = torch.randint(2, seen.grad.shape, generator=self.draw)
        along = (2 * signs - 1).to(seen.grad)
        if seen.leaf.fixed is not None:
            along[seen.leaf.fixed] = 0
        along = along.flatten() / along.norm()
        low, high = 0, len(along)
        apart = self._apart(seen, along, low, high)
        usual = float((seen.grad.flatten() * along).norm())
        if not apart > (SURE if self.rules.steps else AGREE) * usual:
            return True
        while high - low > 1:
            middle = (low + high) // 2
            left, right = (self._apart(seen, along, *h) for h in ((low, middle), (middle, high)))
            low, high = (low, middle) if left >= right else (middle, high)
        self.place(seen, low)
        return True

    def _apart(self, seen: Seen, along: Tensor, low: int, high: int) -> float:
        """How far both slopes along a part of a direction differ, rounding aside."""
        part = torch.zeros_like(along)
        part[low:high] = along[low:high]
        analytic = float((seen.grad.flatten() * part).sum())
        slope = self.ruler.slope(Line(seen.leaf.tensor, part.view(seen.grad.shape)), analytic)
        if slope.numeric is None or slope.why:
            return 0.0
        return max(0.0, abs(analytic - slope.numeric) - slope.doubt)

    def look_closer(self, seen: Seen, end: float) -> None:
        """More places of a tensor that is wrong, so that one sees how."""
        for flat in self._order(seen.grad, MORE):
            if time.monotonic() > end:
                break
            self.place(seen, flat)
