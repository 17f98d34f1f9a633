"""What a training shows while it runs: a live line on a terminal, plain lines anywhere else.

A terminal gets its display on stderr, so that stdout stays clean for pipes; a log, a notebook or
a pipe gets lines on stdout: one an epoch, and in long epochs one every ten seconds at most.
`step` reads a clock and adds three numbers (about 0.3 us); drawing happens five times a second.
"""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TextIO, TypeVar

from ..core.words import clock, duration, number

Item = TypeVar("Item")
LIVE_SECONDS = 0.2  # between two drawings on a terminal: calm, and 1 % of a core at most
LINE_SECONDS = 10.0  # between two plain lines inside a long epoch
SMOOTHING = 0.05  # weight of a new loss in the one that is shown
NOT_SCORES = ("epoch", "step", "seconds", "lr")


class Display(Protocol):
    """Where progress goes: a status that is replaced, and lines that stay."""

    interval: float  # seconds between two statuses

    def status(self, name: str, share: float, facts: str) -> None:
        """Show how far the work is; the next status takes its place."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Leave the stream as it was found."""


class Progress:
    """The display of one training. Epochs count from 1, as people do.

    >>> with Progress(2, 10, stream=sys.stdout) as progress:
    ...     progress.start_epoch(1)
    ...     progress.step(2.3, 0.1, 64)
    ...     progress.end_epoch(1, {"loss": 2.3, "accuracy": 0.125}, 3.0)
    epoch 1/2   loss 2.3000   accuracy 0.1250   3.0 s
    """

    def __init__(
        self,
        epochs: int,
        steps_per_epoch: int,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self._quiet, self._stream = quiet, stream
        self._display: Display = _Silence()
        self._epoch = self._done = self._samples = self._worked = 0
        self._loss: float | None = None
        self._lr: float | None = None
        self._score = ""
        self._began = self._epoch_began = time.perf_counter()
        self._next = math.inf

    def __enter__(self) -> "Progress":
        self._display = _Silence() if self._quiet else open_display(self._stream)
        self._began = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self._next = math.inf
        self._display.close()

    def start_epoch(self, epoch: int, steps_done: int = 0) -> None:
        """Begin an epoch (1 is the first), after `steps_done` of its steps where one resumes."""
        self._epoch, self._done, self._samples, self._loss = epoch, steps_done, 0, None
        self._epoch_began = time.perf_counter()
        if self._next == math.inf:
            self._next = self._epoch_began + self._display.interval

    def step(self, loss: float | None, lr: float | None, samples: int) -> None:
        """Count one optimiser step; a loss of None (not read back this time) keeps the last."""
        self._done += 1
        self._worked += 1
        self._samples += samples
        if loss is not None:
            last = self._loss
            self._loss = loss if last is None else last + SMOOTHING * (loss - last)
        now = time.perf_counter()
        if now >= self._next:
            self._lr = lr
            self._draw(now)

    def end_epoch(self, epoch: int, metrics: Mapping[str, float], seconds: float) -> None:
        """Leave a line: the losses, the first score and the time; metrics.csv has the rest."""
        width = len(str(self.epochs))
        words = [f"epoch {epoch:>{width}}/{self.epochs}"]
        words += [f"{name} {number(v)}" for name, v in metrics.items() if "loss" in name]
        self._score = _score(metrics)
        words += [self._score] if self._score else []
        self._display.line("   ".join([*words, duration(seconds)]))

    def note(self, text: str) -> None:
        """Leave a line of words."""
        self._display.line(text)

    def _draw(self, now: float) -> None:
        self._next = now + self._display.interval
        share = self._done / max(1, self.steps_per_epoch)
        facts = [f"{clock(self._seconds_left(now))} left"]
        facts += [f"loss {number(self._loss)}"] if self._loss is not None else []
        facts += [f"lr {self._lr:.2g}"] if self._lr is not None else []
        facts += [f"{self._samples / max(1e-9, now - self._epoch_began):,.0f} samples/s"]
        facts += [self._score] if self._score else []
        name = f"epoch {self._epoch:>{len(str(self.epochs))}}/{self.epochs}"
        self._display.status(name, min(1.0, share), "  ".join(facts))

    def _seconds_left(self, now: float) -> float:
        """Steps still to do at the pace so far, validation and saving included."""
        pace = (now - self._began) / max(1, self._worked)
        todo = (self.epochs - self._epoch + 1) * self.steps_per_epoch - self._done
        return pace * max(0, todo)


def bar(
    items: Iterable[Item],
    title: str,
    *,
    total: int | None = None,
    quiet: bool = False,
    stream: TextIO | None = None,
) -> Iterator[Item]:
    """The items one by one, with a bar over them; for work that is not a training.

    Silent without a terminal, unless it lasts longer than ten seconds.

    >>> sum(bar([1, 2, 3], "adding"))
    6
    """
    total = total if total is not None else getattr(items, "__len__", lambda: 0)()
    display = _Silence() if quiet else open_display(stream)
    began = time.perf_counter()
    next_draw = began + display.interval
    try:
        for done, item in enumerate(items):
            now = time.perf_counter()
            if done and now >= next_draw:
                next_draw = now + display.interval
                left = (now - began) / done * (total - done) if total else math.nan
                facts = f"{done:,} of {total:,}  {clock(left)} left" if total else f"{done:,}"
                display.status(title, done / total if total else 0.0, facts)
            yield item
    finally:
        display.close()


def open_display(stream: TextIO | None = None) -> Display:
    """A live display where the stream is a terminal (stderr if none is named), else lines."""
    target = sys.stderr if stream is None else stream
    if is_terminal(target):
        return _Live(target)
    return _Lines(sys.stdout if stream is None else stream)


def is_terminal(stream: Any) -> bool:
    """Whether a person watches the stream and it can move its cursor."""
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # no stream at all (pythonw), or a closed one
        return False


class _Silence:
    """Shows nothing."""

    interval = math.inf

    def status(self, name: str, share: float, facts: str) -> None:
        pass

    def line(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines:
    """Writes whole lines to a file, a pipe or a notebook."""

    interval = LINE_SECONDS

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.spoke = time.perf_counter()

    def status(self, name: str, share: float, facts: str) -> None:
        if time.perf_counter() - self.spoke >= self.interval:
            self.line(f"{name}  {share:4.0%}  {facts}")

    def line(self, text: str) -> None:
        self.spoke = time.perf_counter()
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        pass


class _Live:
    """One live line under the lines that stay, drawn by rich; no thread of its own.

    Lines wait for the next drawing: a network whose epoch takes a tenth of a second must not
    spend it on the terminal.
    """

    interval = LIVE_SECONDS

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(file=stream, highlight=False)
        piped = not is_terminal(sys.stdout)  # what is printed into a pipe must stay in the pipe
        self.live = Live(
            console=self.console, auto_refresh=False, transient=True, redirect_stdout=not piped
        )
        self.waiting: list[str] = []
        self.drawn = 0.0
        self.live.start()

    def status(self, name: str, share: float, facts: str) -> None:
        self._release()
        self.live.update(_row(name, share, facts, self.console), refresh=True)

    def line(self, text: str) -> None:
        self.waiting.append(text)
        if time.perf_counter() - self.drawn >= self.interval:
            self._release()

    def close(self) -> None:
        self._release()
        self.live.stop()

    def _release(self) -> None:
        from rich.text import Text

        self.drawn = time.perf_counter()
        if self.waiting:
            lines, self.waiting = self.waiting, []
            self.console.print(Text("\n".join(lines)))


def _row(name: str, share: float, facts: str, console: Any) -> Any:
    """name, bar and facts in one line that a narrow terminal cuts at its right end."""
    from rich.text import Text

    width = 24 if console.width >= 110 else 12
    full, rest = "━─" if console.encoding.startswith("utf") else "=-"
    done = round(share * width)
    parts = [(name + "  ", "bold"), (full * done, "cyan"), (rest * (width - done), "dim")]
    return Text.assemble(*parts, "  " + facts, no_wrap=True, overflow="ellipsis")


def _score(metrics: Mapping[str, float]) -> str:
    """The metric to show beside the loss: of validation where there is one."""
    names = [n for n in metrics if "loss" not in n and n not in NOT_SCORES]
    names.sort(key=lambda n: not n.startswith("val_"))
    return f"{names[0]} {number(metrics[names[0]])}" if names else ""
