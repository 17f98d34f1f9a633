"""Images of exactly one thing: which they are, and what it is."""

from dataclasses import replace

from torch import Tensor

from ..core.errors import shortlist
from ..data.sample import Target
from ..data.source import Part, Problem, SampleSet, Source


def of_one_thing(source: Source) -> Source:
    """A source -> its images with one box; the others are among its problems."""
    train, problems = _part_of_one(source.train, "train")
    found = {"val": source.val, "test": source.test}
    for name, part in found.items():
        if part is not None:
            found[name], more = _part_of_one(part, name)
            problems += more
    problems = [*source.problems, *problems]
    return replace(
        source, train=train, val=found["val"], test=found["test"], problems=tuple(problems)
    )


def _part_of_one(part: SampleSet, name: str) -> tuple[SampleSet, list[Problem]]:
    """A part -> its images with one box, and which were left out; as it is where only reading
    tells (then each is judged when it is read).
    """
    if not len(part) or part.target(0) is None:
        return part, []
    counts = [0 if (target := part.target(i)) is None else count_of(target)
              for i in range(len(part))]  # fmt: skip
    problems = []
    for id, words, out in (
        ("box-none", "no box", [i for i, n in enumerate(counts) if n == 0]),
        ("box-several", "several boxes", [i for i, n in enumerate(counts) if n > 1]),
    ):
        if out:
            some = shortlist([str(part.path(i) or i) for i in out], 3)
            text = f"{len(out)} of {len(part)} images of {name} have {words} and are left out: "
            problems.append(
                Problem(id, text + some, "harmless", samples=tuple(out), part=name,
                        do="task=detect learns from any number of boxes")
            )  # fmt: skip
    rows = [i for i, n in enumerate(counts) if n == 1]
    return (part if len(rows) == len(part) else Part(part, rows)), problems


def thing_of(target: Target) -> tuple[Tensor, int] | None:
    """The box_4 and the class of the one thing that is there; None where there is not one, or its
    box has no area. What is ignored (crowds, difficult ones) is not counted.

    >>> import torch
    >>> thing_of(Target(labels=torch.tensor([2]), boxes_N4=torch.tensor([[0.0, 0, 4, 2]])))
    (tensor([0., 0., 4., 2.]), 2)
    """
    if count_of(target) != 1 or target.boxes_N4 is None or target.labels is None:
        return None
    row = 0 if target.ignored_N is None else int((~target.ignored_N).nonzero()[0])
    box_4 = target.boxes_N4[row].float()
    sound = box_4.isfinite().all() and (box_4[2:] > box_4[:2]).all()
    return (box_4, int(target.labels[row])) if sound else None


def count_of(target: Target) -> int:
    """How many things are to be found, ignored ones left out."""
    if target.boxes_N4 is None:
        return 0
    return len(target.boxes_N4) - (0 if target.ignored_N is None else int(target.ignored_N.sum()))
