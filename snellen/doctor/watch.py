"""The watch: `with doctor(net, optimizer) as doc:` around any training loop, which stays as it is.

Hooks on the roots and the optimisers, a wrapped backward and the loaders' iterators tell the
engine what happens; all is put back on exit. The findings are judged from the chart when asked.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim.optimizer import Optimizer
from torch.utils.data import DataLoader

from ..core.errors import DoctorError, UsageError
from ..core.files import json_text, write_text
from . import autograd, preflight
from .chart import Chart
from .check import judge, must_be_checks, silenced
from .culprit import Search
from .engine import Engine
from .finding import LEVELS, Finding, at_or_above
from .hung import Hook, after_forward, before_forward, uncopied
from .loader import Record, dataset_of, innermost, length_of
from .parts import Parts
from .patient import Handles, Patient, named
from .sweep import told


def doctor(
    net: nn.Module | list[nn.Module],
    optimizer: Any = None,
    loss_fn: Callable[..., Any] | None = None,
    *,
    train: Any = None,
    val: Any = None,
    classes: int | None = None,
    ignore: tuple[str, ...] | list[str] = (),
    sink: Callable[[dict[str, Any]], Any] | None = None,
) -> "Doctor":
    """Network(s) and optimiser(s) -> a context manager that watches the loop inside it.

    `loss_fn(net(x), y)` is only for replays. `train` and `val` are loaders or data sets; loaders
    that are iterated inside are found without. `sink` receives every measurement as an event.

    >>> import torch; net = nn.Linear(2, 1); optimizer = torch.optim.SGD(net.parameters(), 0.1)
    >>> with doctor(net, optimizer) as doc:
    ...     net(torch.ones(4, 2)).mean().backward()
    ...     optimizer.step()
    >>> doc.chart.step
    1
    """
    nets = list(net) if isinstance(net, list | tuple) else [net]
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    for part in nets:
        if not isinstance(part, nn.Module):
            raise UsageError(
                f"doctor(net): {type(part).__name__} is no nn.Module; pass the network"
            )
    for part in optimizers:
        if part is not None and not hasattr(part, "param_groups"):
            raise UsageError(
                f"doctor(net, optimizer): {type(part).__name__} is no torch optimizer; "
                "pass the one whose step() the loop calls, or leave it out"
            )
    must_be_checks(ignore)
    doc = Doctor(nets, [o for o in optimizers if o is not None], tuple(ignore), sink)
    doc.tell(train=train, val=val, loss_fn=loss_fn, classes=classes)
    return doc


class Doctor:
    """What `doctor(...)` returns: opened by `with`, asked for findings during and after."""

    def __init__(
        self,
        nets: list[nn.Module],
        optimizers: list[Any],
        ignore: tuple[str, ...] = (),
        sink: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.chart = Chart()
        self.ignore = ignore
        self.path_of: Callable[[int], str | None] | None = None
        self.engine = Engine(self.chart, sink)
        self.engine.patients = named(nets) if nets else []
        self.search = Search(self.engine, self)
        self.engine.on_nonfinite = self.search.nonfinite
        self._optimizers = optimizers
        self._stack: ExitStack | None = None
        self._facts: dict[str, Any] = {}
        self.sets: dict[str, Any] = {}
        self.loaders: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}  # what the preflight has read

    def tell(self, *, train: Any, val: Any, loss_fn: Any, classes: int | None) -> None:
        """What only the user knows: the data sets, the loss and the number of classes."""
        self.engine.loss_fn = loss_fn
        self.loaders = {k: v for k, v in (("train", train), ("val", val)) if v is not None}
        self.sets = {k: dataset_of(v) for k, v in (("train", train), ("val", val)) if v is not None}
        if classes:
            self._facts["classes"] = classes
        if count := length_of(self.sets.get("train")):
            self._facts["num_samples"] = count
        if isinstance(train, DataLoader) and train.batch_size:
            self._facts["batch_size"] = train.batch_size

    def know(self, **facts: Any) -> None:
        """What only the loop knows that is watched."""
        self._facts |= facts

    def __enter__(self) -> "Doctor":
        if self._stack is not None:
            raise UsageError("this doctor watches already; make another with sn.doctor(...)")
        self.engine.open()
        if self._facts:
            self.engine.emit("facts", self.engine.step, values=self._facts)
        with ExitStack() as stack:
            stack.callback(self.engine.close)
            stack.enter_context(self.engine.loaders.followed())
            stack.enter_context(autograd.seen(self.engine.on_backward, self.engine.after_backward))
            stack.enter_context(uncopied())
            stack.enter_context(self._hooked())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        stack, self._stack = self._stack, None
        if stack is None:
            return
        self.engine.guarded(self.search.finish, error)
        stack.close()
        if error is None or isinstance(error, KeyboardInterrupt):
            self.engine.guarded(preflight.after, self)
        self.engine.guarded(self.last_facts)

    def last_facts(self) -> None:
        """The counts at the end."""
        steppers = self.engine.steppers.values()
        values = {"steps": self.engine.step, "notes": self.notes, "num_optimizers": len(steppers),
                  "backwards": max((s.backwards for s in steppers), default=0)}  # fmt: skip
        self.engine.emit("facts", self.engine.step, values=values)

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        handles = [self.watch(patient) for patient in self.engine.patients]
        handles += [handle for o in self._optimizers for handle in self.follow(o)]
        if not self._optimizers:
            handles += self._follow_any()
        try:
            with Parts(self.engine, self.watch).searching():
                yield
        finally:
            for handle in handles:
                handle.remove()

    def watch(self, patient: Patient) -> Any:
        """Hook a root network; returns the handle."""
        see = self.engine.on_forward
        hook = Hook(lambda module, args, kwargs: see(patient, args, kwargs))
        before = before_forward(patient.net, hook, with_kwargs=True, prepend=True)
        if patient.inner is patient.net:
            return before
        # Of a compiled network only the wrapper has hooks, and its loss is heard from here on.
        after = after_forward(patient.net, Hook(lambda *_: self.engine.after_compiled()))
        return Handles((before, after))

    def follow(self, optimizer: Any) -> list[Any]:
        """Hook an optimiser; returns the handles. Wrappers are followed through to torch's."""
        optimizer = getattr(optimizer, "optimizer", optimizer)
        self.engine.enrol(optimizer)
        return [
            optimizer.register_step_pre_hook(self.engine.on_step),
            optimizer.register_step_post_hook(self.engine.after_step),
        ]

    def _follow_any(self) -> list[Any]:
        """Follow every optimiser that holds a parameter of a patient, from its first step on."""
        from torch.optim import optimizer as home

        def before(optimizer: Any, *_: Any) -> None:
            if id(optimizer) not in self.engine.steppers and self._ours(optimizer):
                self.engine.enrol(optimizer)
            self.engine.on_step(optimizer)

        return [
            home.register_optimizer_step_pre_hook(before),
            home.register_optimizer_step_post_hook(self.engine.after_step),
        ]

    def _ours(self, optimizer: Optimizer) -> bool:
        known = {i for patient in self.engine.patients for i in patient.parameter_names()}
        return any(id(p) in known for group in optimizer.param_groups for p in group["params"])

    def rows(self, index_B: Any, split: str = "train") -> None:
        """Say which rows of the data set the coming forward pass uses: a loop without a loader."""
        self.engine.loaders.add(Record(self.sets.get(split), index_B, split=split))

    def preflight(
        self, level: str = "full", *, sets: Any = None, fitted: Any = None, live: Any = None,
        progress: preflight.Progress | None = None,
    ) -> tuple[Finding, ...]:  # fmt: skip
        """Examine data and network before the training -> what is wrong so far.

        "quick" looks at the data only. `fitted` is a normalising transform (or its mean and std);
        `progress` hears (done, of how many, what). The network is tried where loss_fn was given.
        """
        sets = self.loaders if sets is None else sets
        if live is None and level == "full":
            args = self, sets.get("train"), self.engine.loss_fn
            live = self.engine.guarded(preflight.first_live, *args)
        self.engine.guarded(
            lambda: preflight.before(
                self, level, sets=sets, live=live, fitted=fitted, progress=progress
            )
        )
        return self.findings

    def trial(
        self, score: float, settings: dict[str, float], ranges: dict[str, tuple[float, ...]]
    ) -> None:
        """One trial of a search: score (higher is better), settings, ranges (low, high, is_log).

        Raises UsageError for a range without two ends.
        """
        self.engine.emit("trial", self.engine.step, values=told(score, settings, ranges))

    def continue_from(self, events: Iterable[dict[str, Any]], step: int) -> None:
        """Go on with a training that was broken off after `step`: what was measured until then."""
        for event in events:
            self.chart.record(event)
        self.engine.begin_at(step)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Look away: what happens inside is no part of the training."""
        before, self.engine.off = self.engine.off, True
        try:
            yield
        finally:
            self.engine.off = before

    def dataset(self, split: str) -> Any:
        """The data set that findings name samples of; None where none is known."""
        probes: list[Any] = [*self.engine.probes]
        dealt = [probe.sets[split].record.dataset for probe in probes
                 if split in getattr(probe, "sets", {})]  # fmt: skip
        return next((s for s in (self.search.sets.get(split), self.sets.get(split), *dealt)
                     if s is not None), None)  # fmt: skip

    def split_of(self, dataset: Any) -> str:
        """The name of a data set that a loader deals from."""
        for name, known in self.sets.items():
            if known is dataset:
                return name
        inner = innermost(dataset)
        for name, known in self.sets.items():
            if innermost(known) is inner:
                return name
        return "train"

    @property
    def notes(self) -> list[str]:
        """What the doctor itself could not do."""
        return self.engine.notes

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the likeliest root first; during the training, what is so far."""
        return judge(self.chart, self.ignore, self.engine.fail)

    @property
    def ignored(self) -> tuple[Finding, ...]:
        """What the checks in `ignore` would have said."""
        return silenced(self.chart, self.ignore)

    def raise_if(self, level: str = "error") -> None:
        """Raise DoctorError where there is a finding of this level or above."""
        if level not in LEVELS:
            raise UsageError(f"raise_if({level!r}): the levels are {', '.join(LEVELS)}")
        found = at_or_above(self.findings, level)
        if found:
            from .report import text

            raise DoctorError(text(found), found)

    def to_json(self, path: str | Path | None = None) -> str:
        """What findings.json holds; written to a file where one is named."""
        from .report import document

        said = json_text(document(self.findings, self.ignored))
        if path is not None:
            write_text(Path(path), said)
        return said

    def __repr__(self) -> str:
        found = ", ".join(f.id for f in self.findings) or "nothing"
        return f"<doctor after {self.engine.step} steps: {found}>"

    def __str__(self) -> str:
        from .report import text

        return text(self.findings, ignored=self.ignored)

    def _repr_html_(self) -> str:
        from .report import html

        return html(self.findings, ignored=self.ignored)
