"""What `sn.gradcheck` is given, made ready: copies, inputs as leaves, and the scalar of them."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from ...core.seeds import rng_state, seed_everything
from .rules import Rules
from .subject import Leaf, Subject, backward
from .twin import Twins, double, mapped, refuse

BURN_RATE, REPEATS = 1e-2, 1e-9


class Given:
    """The copies, what is called on them, and what was noticed on the way."""

    def __init__(
        self, module: Any, given: tuple[Any, Any], loss_fn: Any, *, rules: Rules, seed: int
    ) -> None:
        module = _callable(module)
        self.what = _name(module)
        self.rules, self.seed, self.notes = rules, seed, list[str]()
        seed_everything(seed)
        self.random = rng_state()
        self.twins = Twins({"": module, "loss_fn": loss_fn}, rules.double)
        self.module = self.twins.of(module)
        self.loss_fn = self.twins.of(loss_fn)
        self.inputs: list[Leaf] = []
        (x, target), looked = _few(given, rules.rows)
        if looked:
            self.notes.append(f"{looked} were looked at: Rules(rows=None) looks at all")
        self.x, self.target = self._wide(x, "x"), self._wide(target, "target")
        self.x = mapped(self.x, self._leaf)
        every = [m for twin in self.twins.twins.values() for m in twin.modules()]
        shares = [m.__dict__.get("p") for m in every]
        self.keeps = tuple({1 - p for p in shares if isinstance(p, float)})  # of dropouts
        self.num_rows = next((len(leaf.tensor) for leaf in self.inputs if leaf.tensor.dim()), 0)

    def _wide(self, part: Any, name: str) -> Any:
        part = _arrays(part)

        def change(t: Tensor, place: str) -> Tensor:
            refuse([t], place)
            return double(t) if self.rules.double else t.detach().clone()

        return mapped(part, change, name)

    def _leaf(self, t: Tensor, name: str) -> Tensor:
        if t.is_floating_point():
            self.inputs.append(Leaf(name, t.requires_grad_(), "input"))
        return t

    def subjects(self, penalty: Any) -> list[Subject]:
        """What is checked by itself: the loss, and the penalty where there is one."""
        learnt = list(self.twins.parameters())
        if not learnt and not self.inputs:
            raise UsageError(f"{self.what} has no parameter that is learnt, and x no floats: there "
                             "is nothing to check; give x as floats")  # fmt: skip
        first = Subject(self._out, [*learnt, *self.inputs])
        if penalty is not None and not isinstance(self.module, nn.Module):
            raise UsageError("penalty= is called with the module, and a function was given; "
                             "give an nn.Module")  # fmt: skip
        if penalty is not None and not self.rules.penalty_apart:
            first.run = lambda: self._out() + self._penalty(penalty)
        self._first_look(first)
        if penalty is None or not self.rules.penalty_apart:
            return [first]
        alone = Subject(lambda: self._penalty(penalty), learnt, term="penalty")
        return [first, alone]

    def _out(self) -> Tensor:
        """One evaluation -> all floats that come out, in a row."""
        with self.twins.fresh(self.random if self.rules.frozen else None):
            x = mapped(self.x, lambda t, _: t.clone())  # in-place modules may have it
            target = mapped(self.target, lambda t, _: t.clone())
            more = () if target is None or self.loss_fn is not None else (target,)
            if isinstance(x, dict):
                out = self.module(**x, **({"target": target} if more else {}))
            else:
                out = self.module(*(x if type(x) in (tuple, list) else (x,)), *more)
            if self.loss_fn is not None:
                out = self.loss_fn(out) if target is None else self.loss_fn(out, target)
        return _flat(out, self.what)

    def _penalty(self, penalty: Any) -> Tensor:
        with self.twins.fresh(self.random if self.rules.frozen else None):
            return _flat(penalty(self.module), "penalty").sum().reshape(1)

    def _first_look(self, subject: Subject) -> None:
        """Run it twice: it must run, be finite, and say the same again."""
        try:
            two_N, one_N = subject.run().detach(), subject.run()
            if one_N.requires_grad:
                torch.autograd.grad(one_N.sum(), [leaf.tensor for leaf in subject.leaves],
                                    allow_unused=True)  # fmt: skip
            one_N = one_N.detach()
        except UsageError:
            raise
        except Exception as error:
            said = (str(error) or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"{self.what} does not run forward and backward on a copy in float64: {said}; it "
                "must take floats of any type, and a function find the modules and tensors that it "
                "uses in its closure or its globals") from error  # fmt: skip
        if not len(one_N):
            raise UsageError(f"nothing comes out of {self.what}: its output has no numbers; give x "
                             "at least one row")  # fmt: skip
        bad = int((~one_N.isfinite()).sum())
        if bad:
            raise UsageError(f"the output of {self.what} is not finite in {bad} of {len(one_N)} "
                             "numbers, so it has no slope; give inputs on which it is")  # fmt: skip
        if self.rules.double and one_N.dtype != torch.float64:
            raise UsageError(
                f"{self.what} answers in {one_N.dtype} to inputs in torch.float64: differences "
                "would be its rounding; take out the cast, or break Rules(double=False)"
            )
        same = one_N.shape == two_N.shape
        apart = float((one_N - two_N).abs().max()) if same else math.inf
        if self.rules.frozen and apart > REPEATS * max(float(one_N.abs().max()), 1e-300):
            raise UsageError(
                f"{self.what} is not deterministic: called twice with the same weights, inputs and "
                f"seeds it differs by {apart:.2g}; it keeps a state between calls, or draws from a "
                "generator of its own"
            )
        draw = torch.Generator().manual_seed(self.seed + 1)
        subject.weights_N = torch.ones(1) if len(one_N) == 1 else torch.randn(
            len(one_N), generator=draw, dtype=torch.float64)  # fmt: skip

    def burn_in(self, subject: Subject, steps: int) -> bool:
        """Train the copy a little: a special start (zeros, ones) may hide what is wrong."""
        learnt = [leaf.tensor for leaf in subject.leaves if leaf.kind == "parameter"]
        optimizer = torch.optim.Adam(learnt, BURN_RATE)
        for _ in range(steps):
            for leaf, g in zip(subject.leaves, backward(subject).grads, strict=True):
                leaf.tensor.grad = g if leaf.kind == "parameter" else None
            optimizer.step()
        for p in learnt:
            p.grad = None
        return bool(subject.run().isfinite().all())


def _callable(module: Any) -> Any:
    if isinstance(module, type) and issubclass(module, torch.autograd.Function):
        return module.apply
    if isinstance(module, type) or not callable(module):
        raise UsageError(f"gradcheck takes an nn.Module, a function or an autograd.Function, not "
                         f"{module!r}; give an instance")  # fmt: skip
    return getattr(module, "_orig_mod", module)  # what torch.compile was given


def _name(module: Any) -> str:
    owner = getattr(module, "__self__", None)
    if isinstance(owner, type):
        return owner.__name__  # the Function of an apply
    name = getattr(module, "__name__", type(module).__name__)
    return "the function" if name == "<lambda>" else name


def _arrays(value: Any) -> Any:
    """NumPy arrays as tensors."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if type(value) in (tuple, list):
        return type(value)(_arrays(v) for v in value)
    return value


def _few(given: tuple[Any, Any], rows: int | None) -> tuple[tuple[Any, Any], str]:
    """The first rows, where x and target are tensors of one length: then it is a batch. And how
    many of how many rows that are, where it is not all.
    """
    x, target = map(_arrays, given)
    both = isinstance(x, Tensor) and isinstance(target, Tensor) and x.dim() and target.dim()
    if rows is None or not both or len(x) != len(target) or len(x) <= rows:
        return (x, target), ""
    return (x[:rows], target[:rows]), f"{rows} of {len(x)} rows"


def _flat(out: Any, what: str) -> Tensor:
    """All floats of nested outputs in a row."""
    found: list[Tensor] = []

    def keep(t: Tensor, name: str) -> Tensor:
        refuse([t], name)
        if t.is_floating_point():
            found.append(t.reshape(-1))
        return t

    mapped(out, keep, "the output")
    if not found:
        raise UsageError(
            f"{what} gives no floats that a gradient could start from, but "
            f"{type(out).__name__}; return what comes before argmax or a cast to int"
        )
    return torch.cat(found) if len(found) > 1 else found[0]
