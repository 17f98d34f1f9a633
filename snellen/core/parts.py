"""The catalogue of parts: a name of the field -> where it is, in PyTorch or here.

Any file of a room in ROOMS may declare `PARTS`, a dict of name -> Part: its own parts, and those
of PyTorch that belong beside them. docs/parts.md is written from it, and a test resolves `where`.
"""

from dataclasses import dataclass

from .errors import UnknownName
from .registry import collect

ROOMS = ("nn", "optim", "data", "data.augment", "doctor")  # where parts are
GROUPS = (  # in the order of the page
    "Layers and shapes",
    "Activations",
    "Initialisers",
    "Losses",
    "Regularisers",
    "Optimisers",
    "Gradients and checks",
    "Schedules",
    "Preprocessing",
    "Augmentations",
    "Sequence models",
    "Detection and segmentation",
    "Generative models",
)


@dataclass(frozen=True)
class Part:
    """One named thing. `where` are dotted names with commas between; `sn.` stands for Snellen.

    >>> Part("Losses", "torch.nn.L1Loss", "mean of |x - y|").where
    'torch.nn.L1Loss'
    """

    group: str  # one of GROUPS
    where: str
    about: str  # one line: the definition, or what to mind
    notes: str = ""  # the numbers of the notes that name it

    def __post_init__(self) -> None:
        """UnknownName for a group that the page has not: the part would be in no list."""
        if self.group not in GROUPS:
            raise UnknownName(self.group, GROUPS, "groups of parts")


def catalogue() -> dict[str, dict[str, Part]]:
    """The group -> its parts, in the order of the page; those of a group in that of their names.

    >>> catalogue()["Layers and shapes"]["DropConnect"].where
    'sn.nn.DropConnect'
    """
    found = collect(tuple(f"snellen.{room}" for room in ROOMS), "PARTS", Part)
    ordered = sorted(found.items(), key=lambda item: item[0].lower())
    groups = {group: {n: p for n, p in ordered if p.group == group} for group in GROUPS}
    return {group: parts for group, parts in groups.items() if parts}
