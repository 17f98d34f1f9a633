"""What a task is: everything between a sample and a score, one verb for each stretch of the way.

sample -> check -> encode -> batch -> infer -> raw out -> decode -> prediction -> metric
                             batch -> loss          oracle(batch) -> what a perfect infer returns

The check that pays most: metric(decode(oracle(encode(samples)))) reaches its ceiling. It runs for
every task in the tests and at the start of every user's training.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from ..core.errors import UsageError
from ..data.inputs import Inputs
from ..data.relabel import in_order_of
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source


class Metric(ABC):
    """Gathers predictions against targets; all its values lie in [0, 1] but `loss`."""

    counts_KK: Tensor | None = None  # a confusion matrix (row: truth), where there is one to draw

    @property
    def has_truths(self) -> bool:
        """Whether any target so far held something to be told: without, no score says anything."""
        return True

    @abstractmethod
    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """Take in one batch."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The scores by the contract's names: accuracy, mAP50-95, mIoU ..."""


@dataclass(frozen=True)
class Phase:
    """One optimiser's part of a step: which parameters, against which loss.

    `settings` (optim, lr, momentum, weight_decay) stand in for the recipe's; `every` is 2 for a
    phase that takes every second step.
    """

    name: str
    params: tuple[nn.Parameter, ...]
    loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1


class Task(ABC):
    """One task a file; `TASKS` of that file names it. Constructors store; `from_source` looks.

    `spec` is plain JSON (classes, input size, channels, statistics ...): it is saved in the
    checkpoint and `type(task)(spec)` is the same task again.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    score: ClassVar[str]  # the metric that chooses the best epoch; higher is better
    default_model: ClassVar[str]
    trains: ClassVar[tuple[str, ...]] = ()  # networks of which tasks; (): of the default model's
    ceiling: ClassVar[float] = 1.0  # what a perfect answer scores
    settings: ClassVar[tuple[str, ...]] = ()  # of the recipe's that go into `spec`
    rivals: ClassVar[bool] = True  # of its answers one is told, which excludes the others
    squashes: ClassVar[bool] = False  # pictures come whole, and no target lies in their pixels
    # Settings (augment, batch ...) where none are typed; "samples" seen in all give the epochs,
    # "augment_often" stands in for augment where each is seen 30 times or more.
    usual: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = dict(spec)

    def inputs(self) -> Inputs:
        """What the network is fed: size, channels, statistics."""
        return Inputs(**self.spec["inputs"])

    def usual_model(self) -> str:
        """The network that is trained where the user names none; may depend on the input's size."""
        return self.default_model

    def usual_settings(self) -> Mapping[str, Any]:
        """`usual`, but for what these data do not allow."""
        return type(self).usual

    def names(self) -> list[str]:
        """What a prediction speaks of: the classes, the attributes or the numbers, in order."""
        return list(self.spec.get("classes", ()))

    def num_outputs(self) -> int:
        """What the last layer of the backbone gives; 0 where the task builds its network alone."""
        return len(self.spec.get("classes", ()))

    def answer(self, fed: tuple[int, ...]) -> tuple[int, ...] | None:
        """Shape of x -> the shape that a network of the user's own must give; None for any."""
        outputs = self.num_outputs()
        return (fed[0], outputs) if outputs else None

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """The data as this task can learn from them; what is left out is added to its problems."""
        return source

    def aligned(self, part: SampleSet, source: Source) -> SampleSet:
        """A part of other data under this task's own numbers; raises DataError where that fails."""
        if "classes" not in self.spec:
            return part
        return in_order_of(part, source.classes, self.spec["classes"], source.counts_from or 0)

    @classmethod
    @abstractmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Task":
        """Read classes, input size and statistics (of the training part only) off the data."""

    @abstractmethod
    def check(self, sample: Sample) -> list[Problem]:
        """What is wrong with a sample for this task; empty where nothing is."""

    @abstractmethod
    def build(self, backbone: nn.Module | None) -> nn.Module:
        """Backbone -> the network of this task (the backbone itself, or a ModuleDict); where
        `num_outputs` is 0 there is no backbone.
        """

    @abstractmethod
    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> batch: resized to the task's input, targets as tensors by name."""

    @abstractmethod
    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """batch (x normalised) -> named parts; the training minimises their sum."""

    def infer(self, net: nn.Module, batch: Batch) -> Any:
        """batch -> raw out. Free-running generation and proposals happen here."""
        return net(batch.x)

    def pool(self, outs: Sequence[Any], tasks: Sequence["Task"]) -> Any:
        """Raw outs of several networks, and the task of each -> the raw out whose prediction is the
        mean of theirs; raises UsageError where predictions have no mean.
        """
        raise UsageError(
            f"task={self.name} has no mean of several networks' answers: what one of them finds is "
            "not what another finds; average=weights makes one network of checkpoints of one run"
        )

    @abstractmethod
    def decode(self, out: Any, batch: Batch) -> Sequence[Prediction]:
        """Raw out -> predictions in pixels of the original image. Pure."""

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """Raw out -> scores_BK (or logits_BKHW) whose slopes explain the answer, and what each of
        them is called.
        """
        return out, self.names()

    @abstractmethod
    def metric(self) -> Metric:
        """A fresh metric."""

    @abstractmethod
    def draw(self, sample: Sample, target: Target | None = None) -> Any:
        """A PIL picture of the image with a target or a prediction on it."""

    def lost(self, targets: Sequence[Target]) -> str:
        """What of the targets its network cannot tell, in words; empty where nothing is known."""
        return ""

    def phases(self, net: nn.Module) -> list[Phase]:
        """One phase by default; a GAN has two, an optimiser each, in this order."""
        params = tuple(p for p in net.parameters() if p.requires_grad)
        return [Phase("train", params, self.loss)]

    def source(self, net: nn.Module, seed: int) -> Iterator[Sample] | None:
        """A stream of samples in place of a data set (replay, video); None where data are given."""
        return None

    @abstractmethod
    def oracle(self, batch: Batch) -> Any:
        """What a perfect `infer` would return for the batch."""

    @abstractmethod
    def baseline(self, train: SampleSet) -> dict[str, float]:
        """What a network that learned nothing scores, by the metric's names."""

    @classmethod
    @abstractmethod
    def tiny(cls) -> dict[str, Any]:
        """Settings of a training of at most 60 s on two cores, generated data included."""

    def fit(self, train: SampleSet) -> nn.Module | None:
        """For kNN, SVM and Gaussian processes: the fitted model; None for tasks with a loss."""
        return None
