"""How fast a run's network answers, in every runtime that is here: paired, interleaved, one thread.

Each turn asks every contender a few times, one after the other; what is compared is the processor
time of a turn, of which other programs on the machine take nothing. Latencies are by the clock.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..nn._limits import limits
from ..tasks.compute import Compute
from ..tasks.task import Task
from .export import Samples, Tell, Wish, distance, graph_of, plain_net, worst
from .exported import flat, open_file
from .predict import Predictor
from .runtime import INSTALL, PRECISIONS, missing, runtimes

EAGER = "eager fp32"
TURN = 0.01  # seconds that a contender is asked for in one turn, at least once
WARM = 3
Ask = Callable[[Tensor], object]


@dataclass(frozen=True)
class Row:
    """A contender. Times in seconds; `faster` is the median over turns of eager's processor time
    over its own, with quartiles `low` and `high`; `difference` from eager over its largest output,
    on the pictures that an export is compared on.
    """

    name: str
    median: float  # one picture
    p99: float
    throughput: float  # pictures a second, `batch` at a time
    faster: float
    low: float
    high: float
    difference: float


def bench(
    predictor: Predictor,
    samples: Samples,
    *,
    batch: int = 32,
    seconds: float = 10.0,
    compiled: bool = False,
    tell: Tell = lambda done, total: None,
) -> tuple[list[Row], list[str]]:
    """A predictor -> a row for each way to run its network, eager first; and what was left out.

    `samples` are those to answer for and those that int8 is calibrated on. `seconds` is about how
    long single pictures are measured; many at a time take half of that.
    """
    x_BCHW = predictor.task.encode(samples[0]).x
    one, many = x_BCHW[:1], x_BCHW[torch.arange(batch) % len(x_BCHW)]
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        asks, notes = contenders(predictor, samples, Path(folder), compiled, tell)
        wanted = flat(asks[EAGER](x_BCHW))[0]
        with torch.inference_mode():
            alone, clock = _turns(asks, one, seconds, tell)
            together, _ = _turns(asks, many, seconds / 2, tell)
    rows = []
    for name, ask in asks.items():
        got = flat(ask(x_BCHW))[0]
        apart = worst([distance(a, b) for a, b in zip(got, wanted, strict=True)])
        ratios = [eager / own for eager, own in zip(alone[EAGER], alone[name], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        speed = batch / statistics.median(together[name])
        rows.append(Row(name, statistics.median(clock[name]), _p99(clock[name]), speed, middle, low,
                        high, apart))  # fmt: skip
    return rows, notes


def contenders(
    predictor: Predictor, samples: Samples, folder: Path, compiled: bool, tell: Tell
) -> tuple[dict[str, Ask], list[str]]:
    """Every way to run the network here, by its name, eager first; and why others are missing."""
    task, net = predictor.task, plain_net(predictor)
    asks: dict[str, Ask] = {EAGER: eager(net, task, Compute.of("cpu"))}
    inputs = task.inputs()
    known = limits(net, (inputs.channels, inputs.height, inputs.width), training=False)
    last, notes = not known.contiguous, [f"bf16: {known.fp32}"] if known.fp32 else []
    if not known.fp32:
        name = "eager bf16 channels_last" if last else "eager bf16"
        asks[name] = eager(plain_net(predictor), task, Compute.of("cpu", "bf16", last))
    if compiled:
        asks["torch.compile fp32"] = eager(
            torch.compile(plain_net(predictor)), task, Compute.of("cpu")  # type: ignore[arg-type]
        )  # fmt: skip
    plans = [(name, p) for name, runtime in runtimes().items() for p in PRECISIONS
             if p not in runtime.refused and not missing(runtime)]  # fmt: skip
    notes += [f"{name}: not installed; {INSTALL}" for name, r in runtimes().items() if missing(r)]
    for i, (name, precision) in enumerate(plans):
        tell(i, len(plans))
        path = folder / f"{name}-{precision}{runtimes()[name].suffix}"
        try:
            runtimes()[name].write(graph_of(predictor, Wish(name, precision), "", samples), path)
            asks[f"{name} {precision}"] = open_file(runtimes()[name], path, threads=1)
            if (computed := runtimes()[name].computing(precision)) != precision:
                notes.append(f"{name} {precision}: computed in {computed}")
        except UsageError as error:
            notes.append(f"{name} {precision}: {error}")
    return asks, notes


def eager(net: nn.Module, task: Task, compute: Compute) -> Ask:
    """The network as PyTorch runs it, with its preprocessing."""
    net, inputs = compute.place(net), task.inputs()

    def ask(x_BCHW: Tensor) -> object:
        x = inputs.prepare(x_BCHW)
        if compute.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), compute.autocast():
            return net(x)

    return ask


def _turns(
    asks: Mapping[str, Ask], x_BCHW: Tensor, seconds: float, tell: Tell
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Processor seconds of one answer, turn by turn; and clock seconds of every answer."""
    times = {name: _repeats(ask, x_BCHW) for name, ask in asks.items()}
    processor: dict[str, list[float]] = {name: [] for name in asks}
    clock: dict[str, list[float]] = {name: [] for name in asks}
    began, turn, least = time.perf_counter(), 0, 5
    while turn < least or time.perf_counter() - began < seconds:
        for name, ask in asks.items():
            start = time.process_time()
            for _ in range(times[name]):
                before = time.perf_counter()
                ask(x_BCHW)
                clock[name].append(time.perf_counter() - before)
            processor[name].append(max(time.process_time() - start, 1e-9) / times[name])
        turn += 1
        tell(int(time.perf_counter() - began), int(seconds) + 1)
    return processor, clock


def _repeats(ask: Ask, x_BCHW: Tensor) -> int:
    """How many answers make a turn that a clock can measure, after a few that warm up."""
    for _ in range(WARM):
        ask(x_BCHW)
    start = time.process_time()
    ask(x_BCHW)
    return max(1, min(100, round(TURN / max(time.process_time() - start, 1e-6))))


def _p99(values: Sequence[float]) -> float:
    """The time that 99 of 100 answers keep.

    >>> _p99([float(i) for i in range(101)])
    99.0
    """
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread inside, as many as before after."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
