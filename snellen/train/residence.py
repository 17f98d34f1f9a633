"""Where the samples of a part live while a network learns: in memory, or in their files."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from ..core.cache import cache_folder
from ..core.errors import UsageError
from ..core.patience import patience
from ..data.near import kept_in
from ..data.source import Problem, SampleSet, Source
from ..tasks.compute import pick_device
from ..tasks.reading import near
from ..tasks.task import Task
from .feed import Feed, Resident, Streamed, order
from .held import Held, Tell, encode
from .recipe import Recipe
from .speed import Choice, Machine, fits_in_memory

READ_AHEAD = 5.0  # seconds of reading before the first step, in which small sets are read whole
WEIGHED = 8  # samples that tell what a part takes in memory
Note = Callable[[str], None]


class Told:
    """Says the first few problems that the task finds in the samples that are read."""

    def __init__(self, note: Note) -> None:
        self.note, self.count = note, 0

    def of(self, part: str) -> Tell:
        """What is called with the index of each sample of a part, and what is wrong with it."""

        def tell(index: int, problems: Sequence[Problem]) -> None:
            for problem in problems:
                self.count += 1
                if self.count <= 5:
                    self.note(f"data: {part} sample {index}: {problem}")
                elif self.count == 6:
                    self.note("data: and more such; `snellen check` lists all")

        return tell


def home(source: Source, task: Task, recipe: Recipe, machine: Machine) -> Choice:
    """Where both parts live: in memory where they fit and are the same each time they are read.

    Raises UsageError where samples that may change are to be kept.
    """
    parts = [part for part in (source.train, source.val) if part is not None]
    if not all(part.repeatable for part in parts):
        if recipe.residency == "memory":
            raise UsageError(
                "residency=memory would hold one version of samples that may differ each time "
                "they are read; leave it out"
            )
        return Choice("residency", "files", "samples may differ each time they are read")
    total = sum(held_bytes(as_fed(part, task, recipe), task, part is parts[-1]) for part in parts)
    size = f"{total / 1e6:,.0f} MB"
    device = pick_device(recipe.device or "cpu")
    if device.type == "cuda":  # where they would live
        machine = replace(machine, free_bytes=torch.cuda.mem_get_info(device)[0])
    if fits_in_memory(total, machine):
        return Choice("residency", "memory", f"{size} encoded, read once", quiet=True)
    where = "the GPU's" if device.type == "cuda" else "the"
    return Choice("residency", "files", f"{size} encoded, over a quarter of {where} free memory")


def make_feeds(source: Source, task: Task, recipe: Recipe, told: Told) -> tuple[Feed, Feed | None]:
    """The training part and the validation part. Of what stays in memory, that which is not read in
    READ_AHEAD seconds is read when the first epoch comes to it.
    """
    train = _feed(source.train, task, recipe, told.of("train"), source.val is None)
    if source.val is None:
        return train, None
    return train, _feed(source.val, task, recipe, told.of("val"), True)


def _feed(part: SampleSet, task: Task, recipe: Recipe, tell: Tell, judged: bool) -> Feed:
    batch, readers = recipe.batch or 1, recipe.readers or 0
    part = as_fed(part, task, recipe)
    if recipe.residency == "files":
        return Streamed(part, task, batch, recipe.workers or 0, readers=readers, tell=tell)
    device = pick_device(recipe.device or "cpu")
    home = device if device.type == "cuda" else None
    threads = readers or recipe.workers or 0  # read once, for which no process need be started
    held = Held(part, task, device=home, tell=tell, targets=judged, readers=threads)
    held.read(patience(READ_AHEAD))
    return Resident(held, batch)


def as_fed(part: SampleSet, task: Task, recipe: Recipe) -> SampleSet:
    """A part whose files are read at the size that the network is fed, where nothing else of them
    is needed: the same for training and for judging what was trained.
    """
    reader = near(task, recipe.decoding, kept_in(cache_folder()))
    return part if reader is None else part.near(reader)


def held_bytes(part: SampleSet, task: Task, judged: bool) -> int:
    """How much a part would take in memory, by the mean of WEIGHED samples drawn from it."""
    rows = order(len(part), seed=0, epoch=0)[:WEIGHED].tolist()
    sizes = [encode(task, [part[i]], targets=judged).nbytes for i in rows]
    return sum(sizes) * len(part) // len(sizes)
