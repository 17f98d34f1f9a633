"""What a report is made of: plain facts of one training, gathered by whoever ran it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a report is described without torch and drawn with it
    from torch import Tensor

    from ..doctor.chart import Chart
    from ..doctor.finding import Finding


class Mistake(NamedTuple):
    """One held-out image that the network got wrong; a plain tuple in this order does as well."""

    image_CHW: "Tensor"  # uint8, or float as the user gave it
    truth: str
    predicted: str
    score: float  # of the predicted class, in [0, 1]
    path: str | None
    loss: float


@dataclass(frozen=True)
class ReportFacts:
    """Everything that the sections may show; what is left empty has no section.

    >>> ReportFacts(recipe={"data": "digits"}, best={"accuracy": 0.99}).classes
    ()
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    set_by: Mapping[str, str] = field(default_factory=dict)  # setting -> you, recipe, speed ...
    classes: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()  # a row an epoch: epoch, loss, val_loss, scores, lr
    best: Mapping[str, float] = field(default_factory=dict)  # metrics of the best epoch
    confusion_KK: "Tensor | None" = None  # counts, row: truth, column: prediction
    mistakes: Sequence[Mistake] = ()  # highest loss first
    filters_OIHW: "Tensor | None" = None  # weights of the first convolution
    chart: "Chart | None" = None
    findings: Sequence["Finding"] = ()
    ignored: Sequence["Finding"] = ()  # what ignored checks would have said
    finding_images: Mapping[str, Mapping[int, "Tensor"]] = field(default_factory=dict)  # by id
    choices: Sequence[tuple[str, Any, str]] = ()  # (setting, value, reason) of speed=auto
    seconds: float = 0.0
    environment: Mapping[str, Any] = field(default_factory=dict)
    class_counts: Mapping[str, int] = field(default_factory=dict)  # of the training part
    examples: Mapping[str, "Tensor"] = field(default_factory=dict)  # class -> image_CHW
    data_notes: Sequence[str] = ()  # what was said when the data were read: what was left out, why
    command: str = ""  # how to repeat it; empty: the run folder's command.txt
