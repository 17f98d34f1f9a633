"""A run's network in a file that other programs run; checked against the network before it stays.

write in a folder of its own -> open again -> compare on 64 pictures -> score -> move into place
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import DataError, UsageError
from ..core.exports import FOLDER, record, record_text
from ..core.files import write_together
from ..data.inputs import Inputs
from ..data.sample import Sample
from ..data.source import SampleSet
from ..nn.count import unwatched_copy
from ..tasks.compute import Compute
from ..tasks.task import Task
from ..version import __version__
from .exported import ExportedNet, Prepared, flat, open_file
from .predict import Predictor
from .runtime import Card, Graph, Runtime, pick

COMPARED, SCORED = 64, 512  # pictures at most
TOLERANCE = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.2}  # of the largest output of the network
Tell = Callable[[int, int], None]
Samples = tuple[Sequence[Sample], Sequence[Sample]]  # to compare on; to calibrate on


@dataclass(frozen=True)
class Wish:
    """What is exported and how it is checked; `batch` 0 is any number of pictures at a time.

    `tolerance` is the largest difference that passes, over the largest output of the network;
    `calibration` how many training pictures int8 looks at.
    """

    format: str
    precision: str = "fp32"
    out: str | Path | None = None
    batch: int = 0
    tolerance: float | None = None
    calibration: int = 128

    def __post_init__(self) -> None:
        if self.tolerance is not None and not 0 <= self.tolerance < math.inf:
            raise UsageError(
                f"tolerance={self.tolerance:g}: a number of 0 or more is wanted, 0.01 say"
            )
        if self.calibration < 1:
            raise UsageError(f"calibration={self.calibration}: 1 picture or more is wanted")

    @property
    def allowed(self) -> float:
        """The tolerance, the precision's own where none was said."""
        return TOLERANCE[self.precision] if self.tolerance is None else self.tolerance


@dataclass(frozen=True)
class Exported:
    """A file that passed, and how far from the network it is."""

    path: Path
    format: str
    precision: str
    difference: float  # the largest, over the largest output of the network
    tolerance: float
    compared: int
    score: str  # the name of the metric
    before: float  # of the network in fp32, whatever the run trains and evaluates in
    after: float
    scored: int
    computed: str  # what it was computed in here

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return (
            f"largest difference {self.difference:.2g} of the largest output on {self.compared} "
            f"pictures ({self.tolerance:g} is allowed)\n"
            f"{self.score} {self.before:.4f} before in fp32, {self.after:.4f} after in "
            f"{self.computed}, on {self.scored} pictures\n{self.path}"
        )


def export(
    predictor: Predictor,
    wish: Wish,
    folder: Path,
    parts: tuple[SampleSet, SampleSet],
    tell: Tell = lambda done, total: None,
) -> Exported:
    """A run's predictor -> a checked file, in folder/export unless `out` says another place.

    `parts` are the training part, for the calibration, and the part that is compared and scored.
    Raises UsageError where the words cannot be followed and DataError where the file would not
    say what the network says; nothing is left behind then.
    """
    runtime = pick(wish.format, wish.precision)
    path = place(runtime, wish, folder)
    train, judged = parts
    looked = spread(judged, COMPARED)
    if not looked:
        raise DataError("there is no picture to compare the exported file with; give data=")
    calibration = spread(train, wish.calibration) if wish.precision == "int8" else []
    with tempfile.TemporaryDirectory() as beside:
        made = Path(beside) / path.name
        runtime.write(graph_of(predictor, wish, folder.name, (looked, calibration)), made)
        tell(1, 4)
        plain = plain_net(predictor)
        done = compared(predictor.task, (plain, open_file(runtime, made)), looked, wish, path)
        tell(2, 4)
        scores = []
        for i, net in enumerate((plain, open_file(runtime, made))):
            scores.append(score(predictor.task, net, spread(judged, SCORED)))
            tell(3 + i, 4)
        put(runtime, made, path, keeps_record=wish.out is None or record(path).is_file())
    name = predictor.task.score
    return Exported(path, runtime.name, wish.precision, done, wish.allowed, len(looked), name,
                    scores[0][name], scores[1][name], min(len(judged), SCORED),
                    runtime.computing(wish.precision))  # fmt: skip


def batch_size(word: int | str) -> int:
    """How many pictures a graph takes, as typed: "dynamic" is 0, any number.

    >>> batch_size("dynamic"), batch_size("1")
    (0, 1)
    """
    if word == "dynamic":
        return 0
    if not str(word).isdecimal() or int(word) == 0:
        raise UsageError(f"batch={word}: a number of pictures is wanted, 1 say, or dynamic")
    return int(word)


def place(runtime: Runtime, wish: Wish, folder: Path) -> Path:
    """Where the file goes; raises UsageError where another's file stands there."""
    one = f"-batch{wish.batch}" if wish.batch else ""
    name = f"{folder.resolve().name}-{wish.precision}{one}{runtime.suffix}"
    path = Path(wish.out) if wish.out is not None else folder / FOLDER / name
    if path.suffix != runtime.suffix:
        raise UsageError(f"out={path}: a file of format={runtime.name} ends in {runtime.suffix}")
    for file in (path, *(path.with_suffix(other) for other in runtime.beside)):
        if file.exists() and not _is_ours(runtime, path):
            raise UsageError(f"{file} is there and was not written by Snellen; name another out=")
    return path


def _is_ours(runtime: Runtime, path: Path) -> bool:
    if record(path).is_file():  # whatever became of the file since
        return True
    try:
        Card.read(runtime.card(path), path)
    except Exception:  # whatever it is, it is not a file of ours
        return False
    return True


def spread(part: SampleSet, count: int) -> list[Sample]:
    """At most `count` samples of a part, evenly apart."""
    have = len(part)
    return [part[i * have // min(count, have)] for i in range(min(count, have))]


def plain_net(predictor: Predictor) -> nn.Module:
    """A copy of the network on the processor, fp32, for inference."""
    net = unwatched_copy(predictor.net).cpu().float()
    net.eval()
    return net.requires_grad_(False)


def graph_of(predictor: Predictor, wish: Wish, run: str, samples: Samples) -> Graph:
    """What a runtime writes: the network with its preprocessing, and what it was traced with."""
    task, net = predictor.task, plain_net(predictor)
    inputs = task.inputs()
    looked, calibration = samples
    traced = [*looked, *looked][: wish.batch or 2]
    x = task.encode(traced).x
    with torch.inference_mode():
        outputs = flat(net(inputs.prepare(x)))[1]
    card = Card(type(task).name, task.spec, wish.precision, _input_of(x, inputs), outputs,
                wish.batch, f"snellen {__version__}", run, predictor.decoding)  # fmt: skip
    module = Prepared(net, inputs, bf16=wish.precision == "bf16" and wish.format == "torch").eval()
    pictures = [task.encode([sample]).x[0] for sample in calibration]
    return Graph(module, x, card, pictures)


def _input_of(x: Tensor, inputs: Inputs) -> dict[str, Any]:
    """What the graph takes, for whoever feeds it without Snellen."""
    meaning = "the numbers that the network was trained on; they are taken as they are"
    if x.dtype == torch.uint8:
        meaning = "bytes 0..255; scaling and standardising are inside"
    elif inputs.pixels == "0..1":
        meaning = "floats in 0..1; what else is done to them is inside"
    kind = str(x.dtype).removeprefix("torch.")
    return {"name": "images", "dtype": kind, "shape": [0, *x.shape[1:]], "layout": "BCHW",
            "meaning": meaning}  # fmt: skip


def compared(
    task: Task, nets: tuple[nn.Module, ExportedNet], samples: Sequence[Sample], wish: Wish,
    path: Path,
) -> float:  # fmt: skip
    """The largest difference over the largest output; raises DataError above the tolerance."""
    batch = task.encode(samples)
    with torch.inference_mode():
        wanted = flat(nets[0](task.inputs().prepare(batch.x)))[0]
        got = flat(nets[1](batch.x))[0]
    found = worst([distance(a, b) for a, b in zip(got, wanted, strict=True)])
    if found != found:
        raise DataError(
            f"the network's outputs or those of {path.name} are not numbers; nothing was written; "
            "`snellen verify RUN` says whether the run is whole"
        )
    if found > wish.allowed:
        finer = "" if wish.precision == "fp32" else "take a finer precision=, or "
        raise DataError(
            f"{path.name} would differ from the network by {found:.2g} of its largest output on "
            f"{len(samples)} pictures, and {wish.allowed:g} is allowed for {wish.precision}; "
            f"nothing was written; {finer}allow more with tolerance="
        )
    return found


def worst(values: list[float]) -> float:
    """The largest, NaN where one is among them (max() would pass over it).

    >>> worst([1.0, float("nan"), 2.0])
    nan
    """
    return float(torch.tensor(values, dtype=torch.float64).max())


def distance(got: Tensor, wanted: Tensor) -> float:
    """The largest difference of two outputs over the largest of the second; NaN where either is.

    >>> distance(torch.tensor([1.0, 4.5]), torch.tensor([1.0, 5.0]))
    0.1
    """
    if got.shape != wanted.shape:
        raise DataError(f"the exported file gives {tuple(got.shape)}, the network "
                        f"{tuple(wanted.shape)}; this is a mistake of the runtime")  # fmt: skip
    largest = max(float(wanted.double().abs().max()), 1e-12)
    return float((got.double() - wanted.double()).abs().max()) / largest


def score(task: Task, net: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
    """The metric's values over some samples."""
    prepares = not isinstance(net, ExportedNet)
    predictor, metric = Predictor(net, task, Compute.of("cpu"), prepares=prepares), task.metric()
    for found, sample in zip(predictor.samples(samples), samples, strict=True):
        metric.update([found], [sample.target])
    return metric.compute()


def put(runtime: Runtime, made: Path, path: Path, *, keeps_record: bool) -> None:
    """The finished file into its place, all of it or nothing; what belongs to it first, and last,
    in a run's folder, the record by which `snellen verify` knows it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"out={path} cannot be written: {error.strerror}") from error
    files = {path.with_suffix(s): made.with_suffix(s) for s in (*runtime.beside, path.suffix)}
    size = sum(os.path.getsize(file) for file in files.values())
    parts: dict[Path, Callable[[Path], Any]] = {
        to: partial(shutil.copyfile, file) for to, file in files.items()
    }
    if keeps_record:
        text = record_text({to.name: file for to, file in files.items()})
        parts[record(path)] = lambda beside: beside.write_bytes(text)
    write_together(parts, size)
