"""Where samples come from: an ordered set read on demand, a source with its parts, and problems.

A format (formats/*.py) recognises a path and opens it as a Source. Problems are never dropped
silently: what could not be read is listed with its file, and left out by a stated policy.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..core.parts import Part as CataloguePart
from ..core.words import printable
from .sample import Sample, Skeleton, Target

if TYPE_CHECKING:
    from .near import Near

PARTS = {
    "Loading data": CataloguePart(
        "Preprocessing",
        "sn.data.open.open_data, sn.train.feed.Resident, sn.train.feed.Streamed, "
        "torch.utils.data.DataLoader",
        "open, read, deal, encode: the same batches for the same seed, whatever the workers",
        "001",
    ),
    "Label formats of boxes": CataloguePart(
        "Preprocessing",
        "snellen.data.formats.yolo, snellen.data.formats.voc, snellen.data.formats.coco",
        "YOLO's lines of class, centre, width, height in shares; VOC's XML, COCO's JSON; "
        "`snellen data PATH --to yolo`",
        "001",
    ),
    "from_tensor_slices": CataloguePart(
        "Preprocessing",
        "torch.utils.data.TensorDataset",
        "tf.data's words and their equals stand on the page of loading",
        "001",
    ),
}


UNLABELLED = "label-none"  # the id of the problem that a folder of pictures says nothing of them


class SampleSet(ABC):
    """An ordered set of samples; `self[i]` may read a file, `len` and `labels` never do."""

    repeatable = True  # whether self[i] is the same each time; a user's Dataset may draw at random
    reads_files = False  # whether self[i] does little else than decode a file, so threads may do it

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __getitem__(self, i: int) -> Sample:
        """Sample i, 0 <= i < len; the same one each time."""

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """Some samples: the same as one by one, in less time where files are read together."""
        return [self[i] for i in rows]

    def labels(self) -> Tensor | None:
        """labels_N int64 without reading an image, or None where only reading tells."""
        return None

    def target(self, i: int) -> Target | None:
        """What is true of sample i but masks, without decoding it; None where that is needed."""
        return None

    def path(self, i: int) -> str | None:
        """The file of sample i, or None where it has none."""
        return None

    def stacked(self) -> Tensor | None:
        """All images as one tensor x_NCHW where they already lie in memory so, else None."""
        return None

    def near(self, near: "Near") -> "SampleSet":
        """The same set whose files may be read at the size of an input; itself where it has none.

        Only for a task whose targets do not lie in the picture.
        """
        return self

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


class Part(SampleSet):
    """Some rows of a set, as a set: one side of a split. `rows` index the whole."""

    def __init__(self, whole: SampleSet, rows: Sequence[int]) -> None:
        self.whole, self.rows = whole, list(rows)
        self.repeatable, self.reads_files = whole.repeatable, whole.reads_files

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Sample:
        return self.whole[self.rows[i]]

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """These of the rows."""
        return self.whole.samples([self.rows[i] for i in rows])

    def labels(self) -> Tensor | None:
        """labels_N of the rows."""
        labels = self.whole.labels()
        return None if labels is None else labels[self.rows]

    def target(self, i: int) -> Target | None:
        """What is true of row i."""
        return self.whole.target(self.rows[i])

    def path(self, i: int) -> str | None:
        """The file of row i."""
        return self.whole.path(self.rows[i])

    def stacked(self) -> Tensor | None:
        """The rows' images x_NCHW."""
        images = self.whole.stacked()
        return None if images is None else images[self.rows]

    def near(self, near: "Near") -> "Part":
        """The rows of the set so read."""
        return Part(self.whole.near(near), self.rows)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a data set.

    `harm`: 'harmless' was read right, 'harmful' was not, 'suspect' is for a person to look at.
    """

    id: str
    message: str
    harm: str = "harmful"
    file: str | None = None
    line: int | None = None
    samples: tuple[int, ...] = ()
    do: str = ""
    part: str = ""  # train, val or test: whose rows `samples` are

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else (self.file or "")
        return printable(f"{where}: {self.message}" if where else self.message)


@dataclass(frozen=True)
class Source:
    """A data set as it lies there: its parts, its class names and what is wrong with it."""

    name: str
    format: str
    train: SampleSet
    classes: tuple[str, ...]
    val: SampleSet | None = None
    test: SampleSet | None = None
    problems: tuple[Problem, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)  # what `snellen data` prints
    attributes: tuple[str, ...] = ()  # names of Target.attributes_A
    values: tuple[str, ...] = ()  # names of Target.values_V
    skeleton: Skeleton | None = None  # of Target.keypoints_NK2
    counts_from: int | None = None  # the label that is classes[0]; of torchvision's boxes alone
    categories: tuple[Mapping[str, Any], ...] = ()  # COCO's id and supercategory of each class
    variants: Mapping[str, Callable[[], "Source"]] = field(default_factory=dict)

    def of(self, task: str) -> "Source":
        """What these data are for a task: drawn data have a variant for each, files are as is."""
        return self.variants[task]() if task in self.variants else self


class Format(ABC):
    """One way that data lies on a disk (or is generated). Detected without flags."""

    name: str
    about: str  # one line for the catalogue: what it looks like

    @abstractmethod
    def detect(self, path: Path) -> bool:
        """Whether `path` (a file, a folder, or a word such as 'digits') is this format."""

    @abstractmethod
    def open(self, path: Path) -> Source:
        """Read the index, not the images; raise DataError with file and line where it cannot."""

    @abstractmethod
    def example(self, folder: Path) -> Path:
        """Write a tiny data set of this format, for the contract test; return what to open."""
