"""How a gradient is wrong, guessed from what autograd says and what the slopes are."""

from collections.abc import Iterator
from itertools import combinations

import torch
from torch import Tensor

from .compare import Place, Seen
from .rules import WRONG

ALIKE = 1e-3


def guess(seen: Seen, keeps: tuple[float, ...] = (), rows: int = 0) -> str:
    """A wrong tensor -> a few words on its fault; `keeps` are the keep probabilities of dropouts.

    `rows` is the number of samples.
    """
    a, n = (torch.tensor([getattr(p, k) for p in seen.places], dtype=torch.float64)
            for k in ("analytic", "numeric"))  # fmt: skip
    if bool(a.isnan().any()):
        return "not a number: often 0 times infinity in a branch that torch.where does not choose"
    size = float(torch.maximum(a.abs(), n.abs()).max())
    if not seen.arrives:
        return "no gradient arrives: it is detached, or a backward returns None for it"
    if float(a.abs().max()) <= 1e-9 * size:
        return "autograd says zero where the function does move"
    if float(n.abs().max()) <= 1e-9 * size:
        return "the function does not move: a straight-through estimator, or a mask forgotten"
    ratio = _ratio(a, n, size)
    if ratio is not None and abs(ratio - 1) > ALIKE:  # of 1 the large are right, small ones wrong
        return _factor(ratio, seen.grad, keeps, rows)
    some = _part(a, n, seen.places)
    clear = some if any(word in some for word in ("where", "zero", "alone")) else ""
    moved = _moved(seen) or clear or _constant(a, n, seen.places) or some
    return moved or "no simple factor: a term is missing or a formula is wrong"


def _ratio(a: Tensor, n: Tensor, size: float) -> float | None:
    """The one factor between both, where there is one."""
    large = n.abs() > 1e-6 * size
    ratios = a[large] / n[large]
    middle = float(ratios.median())
    same = float((a - middle * n).abs().max()) <= ALIKE * size
    return middle if same and len(ratios) > (len(n) > 1) else None


def _factor(ratio: float, grad: Tensor, keeps: tuple[float, ...], rows: int) -> str:
    if abs(ratio + 1) < ALIKE:
        return "the sign is flipped"
    said = f"it is {ratio:.4g} times the slope everywhere"
    known = {1 / k: f"1 / {k:g}, of dropout's scale" for k in keeps if k < 1}
    known |= {k: f"{k:g}, dropout's keep probability" for k in keeps if k < 1}
    if rows > 1:
        known |= {rows: "the number of samples: a sum for a mean",
                  1 / rows: "1 / the number of samples: a mean for a sum"}  # fmt: skip
    for size in grad.shape:
        if size > 2:
            known.setdefault(size, f"{size}, the length of one of its axes")
            known.setdefault(1 / size, f"1 / {size}, the length of one of its axes")
    near = [why for value, why in known.items() if abs(abs(ratio) - value) < ALIKE * value]
    sign = ", with the sign flipped" if ratio < 0 else ""
    return f"{said}{sign}: a factor is missing" + (f" ({near[0]})" if near else "")


def _moved(seen: Seen) -> str:
    """Autograd's numbers in other places: transposed, read along another axis, flipped, rolled."""
    places = seen.places
    if len(places) < 4:
        return ""
    index = tuple(torch.tensor(i) for i in zip(*(p.index for p in places), strict=True))
    numeric = torch.tensor([p.numeric for p in places], dtype=torch.float64)
    grad = seen.grad.double().cpu()
    for words, other in _arranged(grad):
        for sign in (1, -1):
            apart = (sign * other[index] - numeric).abs().max()
            if float(apart) <= ALIKE * float(numeric.abs().max()):
                return f"the right numbers{' with the wrong sign' * (sign < 0)}, {words}"
    return ""


def _arranged(grad: Tensor) -> Iterator[tuple[str, Tensor]]:
    axes = [d for d in range(grad.dim()) if grad.shape[d] > 1]
    for one, two in combinations(axes, 2):
        turned = grad.transpose(one, two)
        same = grad.shape[one] == grad.shape[two]
        words = "transposed" if same else "in the order of the transposed tensor"
        yield f"{words} (axes {one} and {two})", turned if same else turned.reshape(grad.shape)
        shape = turned.shape
        yield f"in the order of axes {two} and {one} exchanged", grad.reshape(shape).transpose(
            one, two)  # fmt: skip
    for count in range(1, min(len(axes), 3) + 1):
        for chosen in combinations(axes, count):
            yield f"flipped along {_axes(chosen)}", grad.flip(chosen)
    for axis in axes:
        for by in (1, -1):
            yield f"shifted by one along {_axes((axis,))}", grad.roll(by, axis)


def _axes(axes: tuple[int, ...]) -> str:
    return ("axis " if len(axes) == 1 else "axes ") + " and ".join(map(str, axes))


def _part(a: Tensor, n: Tensor, places: list[Place]) -> str:
    """Right in some places: what is the matter with the others."""
    bad = torch.tensor([p.error != p.error or p.error > WRONG for p in places])
    if not bool((~bad).any()):
        return ""
    size = float(torch.maximum(a[bad].abs(), n[bad].abs()).max())
    said = f"right at {int((~bad).sum())} of {len(places)} places"
    first = places[int(bad.nonzero()[0])]
    shared = [f"{_axes((d,))} at {first.index[d]}"
              for d in range(len(first.index)) if _splits(places, bad, d)]  # fmt: skip
    there = f"wrong where {shared[0]}" if shared else "wrong in the others"
    if int(bad.sum()) == 1:
        there = f"wrong at {list(first.index)} alone"
    if bool((a[bad].abs() <= 1e-9 * size).all()):
        return f"{said}, {there}: autograd says zero, a part or a mask is missing"
    ratio = _ratio(a[bad], n[bad], size)
    if ratio is not None:
        return f"{said}, {there}: {ratio:.4g} times the slope"
    return f"{said}, {there}"


def _splits(places: list[Place], bad: Tensor, axis: int) -> bool:
    """Whether the wrong places are those of one index along an axis."""
    wrong = {p.index[axis] for p, b in zip(places, bad.tolist(), strict=True) if b}
    right = {p.index[axis] for p, b in zip(places, bad.tolist(), strict=True) if not b}
    return len(wrong) == 1 and not wrong & right and len(right) > 1


def _constant(a: Tensor, n: Tensor, places: list[Place]) -> str:
    """The same number too much everywhere, or all along an axis."""
    apart = (a - n).tolist()
    most = ALIKE * max(map(abs, apart))
    if len(apart) > 2 and max(apart) - min(apart) <= most:
        return f"{apart[0]:.3g} too much everywhere: a constant term"
    for axis in range(len(places[0].index)):
        groups: dict[tuple[int, ...], list[float]] = {}
        for place, value in zip(places, apart, strict=True):
            groups.setdefault(place.index[:axis] + place.index[axis + 1 :], []).append(value)
        shared = [values for values in groups.values() if len(values) > 1]
        if len(shared) > 1 and all(max(v) - min(v) <= most for v in shared):
            return f"off by the same all along axis {axis}: a term such as its mean is missing"
    return ""
