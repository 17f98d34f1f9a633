"""Class names and numbers: from raw labels to 0..K-1, and one set's numbers to another's."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError, shortlist
from ..core.seeds import untouched_rng
from .relabel import Relabelled, every_label, in_order_of
from .source import Problem, SampleSet, Source

FEW = 4  # items that are named one by one


def number_labels(
    values: np.ndarray, names: Sequence[str] | None, where: str
) -> tuple[Tensor, tuple[str, ...], tuple[Problem, ...]]:
    """Label values -> (labels_N, class names, problems); what fits no class becomes -1.

    Numbers from 0 are kept. Numbers that start elsewhere or leave wide gaps are numbered anew
    and name their classes, so that nothing is lost.
    """
    if values.dtype.kind == "U":
        words, labels = np.unique(values, return_inverse=True)
        if names is not None and set(words) <= set(names):
            words, labels = np.array(names), np.array([list(names).index(v) for v in values])
        return torch.from_numpy(labels.astype(np.int64)), tuple(words.tolist()), ()
    table = _classes_of(values) if names is None else np.arange(len(names))
    position = np.searchsorted(table, values).clip(max=len(table) - 1)
    labels = np.where(table[position] == values, position, -1)
    classes = tuple(names) if names is not None else tuple(str(v) for v in table)
    problems = _stray(values, labels, table, where)
    if names is None and len(table) and table[0] != 0:
        problems += (_moved(table, where),)
    return torch.from_numpy(labels.astype(np.int64)), classes, problems


def _classes_of(values: np.ndarray) -> np.ndarray:
    """The numbers that are classes: no rare negative ones, nor single strays beyond full classes.

    >>> _classes_of(np.array([-1, 1, 1, -1])), _classes_of(np.array([0] * 9 + [1] * 9 + [-1]))
    (array([-1,  1]), array([0, 1]))
    """
    kinds, counts = np.unique(values, return_counts=True)
    usual = np.median(counts)
    keep = (kinds >= 0) | (counts >= usual / 4)
    kinds, counts = kinds[keep], counts[keep]
    while usual >= 20 and len(kinds) > 2 and counts[-1] <= max(1, usual / 50):
        kinds, counts = kinds[:-1], counts[:-1]
    top = int(kinds[-1])
    if kinds[0] == 0 and top + 1 <= 2 * len(kinds) + 10:
        return np.arange(top + 1)
    return kinds


def _stray(
    values: np.ndarray, labels: np.ndarray, table: np.ndarray, where: str
) -> tuple[Problem, ...]:
    rows = np.flatnonzero(labels < 0)
    if not len(rows):
        return ()
    each = [f"item {row} is labelled {values[row]}" for row in rows[:FEW].tolist()]
    if len(rows) > FEW:
        kinds = ", ".join(str(v) for v in np.unique(values[rows])[:5])
        each = [f"{len(rows)} of {len(values)} items are labelled {kinds}"]
    fate = "it is left out" if len(rows) == 1 else "they are left out"
    fits = (
        f"outside {table[0]} to {table[-1]}"
        if len(table) == table[-1] - table[0] + 1
        else "none of the classes"
    )
    do = "correct these labels, or give more items of the class they mean"
    message = f"{where}: {', '.join(each)}, {fits}; {fate}"
    return (Problem("label-out-of-range", message, samples=tuple(rows.tolist()), do=do),)


def _moved(table: np.ndarray, where: str) -> Problem:
    text = f"{table[0]} to {table[-1]}"
    message = f"{where}: labels are {text}; read as {len(table)} classes of these names"
    return Problem("label-numbering", message, harm="harmless")


def match_classes(
    classes: Sequence[str], theirs: Sequence[str], part: SampleSet
) -> tuple[SampleSet, tuple[Problem, ...]]:
    """A part numbered by `theirs` -> the same by `classes`, and what had to be left out.

    >>> from .sets import ArraySet
    >>> part = ArraySet(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 1]))
    >>> match_classes(("cat", "dog"), ("dog", "cat"), part)[0].labels().tolist()
    [1, 0, 0]
    """
    if tuple(classes) == tuple(theirs):
        return part, ()
    table = [classes.index(name) if name in classes else -1 for name in theirs]
    labels = every_label(part)
    used = list(theirs) if labels is None else [
        theirs[i] for i in labels.unique().tolist() if i >= 0
    ]  # fmt: skip
    strange = [name for name in used if name not in classes]
    has_labels = part.labels() is not None
    if len(strange) == len(used) and (strange or has_labels):
        raise DataError(
            f"train and val share no class: train has {shortlist(classes, 5)}; "
            f"val has {shortlist(used, 5)}; check that both are the same kind of data"
        )
    if labels is None:  # only reading tells of which classes they are, and how many
        fate = "its boxes are left out" if has_things(part) else "its pixels count as none"
        return Relabelled(part, table), _strange(strange, classes, fate)
    if not has_labels:  # boxes: the picture stays, its strange things go
        count = sum(table[label] < 0 for label in labels.tolist())
        fate = f"its {count} boxes are left out"
        return Relabelled(part, table), _strange(strange, classes, fate)
    new = torch.tensor(table)[labels.clamp(min=0)]
    rows = ((new >= 0) | (labels < 0)).nonzero()[:, 0].tolist()
    fate = f"its {len(part) - len(rows)} samples are left out"
    return Relabelled(part, table, rows), _strange(strange, classes, fate)


def has_things(part: SampleSet) -> bool:
    """Whether a part's first sample has classes of things, boxes or masks; False where it cannot be
    read.

    >>> from .sets import ArraySet
    >>> has_things(ArraySet(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 1])))
    False
    """
    try:
        with untouched_rng():
            target = part.target(0) or part[0].target
    except (DataError, IndexError):
        return False
    return target.labels is not None


def numbered_by(source: Source, classes: Sequence[str]) -> Source:
    """A source of some of these classes -> the same in their numbers; one of others as it is.

    >>> from .sets import ArraySet
    >>> one = Source("pets", "csv", ArraySet(torch.zeros(1, 1, 2, 2), torch.tensor([0])), ("dog",))
    >>> numbered_by(one, ["cat", "dog"]).train.labels()
    tensor([1])
    """
    have = source.classes
    if have == tuple(classes) or not have or not set(have) <= set(classes):
        return source
    train = in_order_of(source.train, have, classes)
    val, test = (part and in_order_of(part, have, classes) for part in (source.val, source.test))
    return replace(source, classes=tuple(classes), train=train, val=val, test=test)


def _strange(names: list[str], classes: Sequence[str], fate: str) -> tuple[Problem, ...]:
    if not names:
        return ()
    blanks = [n for n in names if n.strip() in [c.strip() for c in classes]]
    why = f"; {blanks[0]!r} differs from a class of train only by blanks" if blanks else ""
    message = f"val has {shortlist([repr(n) for n in names], 5)}, which train has not{why}; "
    message += fate
    return (Problem("class-unknown", message, do="give train these classes, or rename them"),)
