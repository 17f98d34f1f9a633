"""Where the samples of a part live while a network learns: in memory, or in their files."""

from collections.abc import Callable

from ..data.near import Near
from ..data.sample import Sample
from ..data.source import SampleSet, Source
from ..tasks.compute import pick_device
from ..tasks.task import Task
from .feed import Feed, Resident, Streamed, order
from .held import Held, encode
from .recipe import Recipe
from .speed import Machine, fits_in_memory

READ_AHEAD = 5.0  # seconds of reading before the first step, in which small sets are read whole
WEIGHED = 8  # samples that tell what a part takes in memory
Note = Callable[[str], None]


class Told:
    """Asks the task about each sample that is read, and says the first few problems."""

    def __init__(self, task: Task, note: Note) -> None:
        self.task, self.note, self.count = task, note, 0

    def of(self, part: str) -> Callable[[Sample], None]:
        """What is called with each sample of a part."""

        def look(sample: Sample) -> None:
            for problem in self.task.check(sample):
                self.count += 1
                if self.count <= 5:
                    self.note(f"data: {part} sample {sample.index}: {problem}")
                elif self.count == 6:
                    self.note("data: and more such; `snellen check` lists all")

        return look


def make_feeds(
    source: Source, task: Task, recipe: Recipe, machine: Machine, told: Told
) -> tuple[Feed, Feed | None]:
    """The training part and the validation part, each in memory where it fits and is the same each
    time it is read, else streamed. What is not read in READ_AHEAD seconds is read when the first
    epoch comes to it.
    """
    train = _feed(source.train, task, recipe, machine, told.of("train"), source.val is None)
    if source.val is None:
        return train, None
    return train, _feed(source.val, task, recipe, machine, told.of("val"), True)


def _feed(
    part: SampleSet, task: Task, recipe: Recipe, machine: Machine,
    each: Callable[[Sample], None], judged: bool,
) -> Feed:  # fmt: skip
    batch, readers = recipe.batch or 1, recipe.readers or 0
    part = as_fed(part, task, recipe)
    if not part.repeatable or not fits_in_memory(held_bytes(part, task, judged), machine):
        return Streamed(part, task, batch, recipe.workers or 0, readers=readers)
    device = pick_device(recipe.device or "cpu")
    home = device if device.type == "cuda" else None
    held = Held(part, task, device=home, each=each, targets=judged, readers=readers)
    held.read(READ_AHEAD)
    return Resident(held, batch)


def as_fed(part: SampleSet, task: Task, recipe: Recipe) -> SampleSet:
    """A part whose files are read at the size that the network is fed, where nothing else of them
    is needed: the same for training and for judging what was trained.
    """
    inputs = task.inputs()
    if recipe.decoding != "near" or not task.squashes or inputs.pixels != "bytes":
        return part
    return part.near(Near(inputs))


def held_bytes(part: SampleSet, task: Task, judged: bool) -> int:
    """How much a part would take in memory, by the mean of WEIGHED samples drawn from it."""
    rows = order(len(part), seed=0, epoch=0)[:WEIGHED].tolist()
    sizes = [encode(task, [part[i]], targets=judged).nbytes for i in rows]
    return sum(sizes) * len(part) // len(sizes)
