"""What the parts of a data set are called, and how parts read one by one make a Source."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ...core.errors import DataError
from ..classes import match_classes
from ..source import Source

COUNTED = ("images", "captions", "segments")  # facts that parts add to one another
PARTS = {  # part -> the words for it, the usual one first
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}


def part_of(word: str) -> str | None:
    """A folder's name -> the part it means, or None.

    >>> part_of("Validation"), part_of("cats")
    ('val', None)
    """
    return next((part for part, words in PARTS.items() if word.lower() in words), None)


def by_part(folders: Iterable[Path]) -> dict[str, Path]:
    """Folders, some called as parts -> {part: folder}; raises DataError where two mean the same.

    >>> list(by_part([Path("a/train"), Path("a/dev"), Path("a/cats")]))
    ['train', 'val']
    """
    found: dict[str, Path] = {}
    for folder in folders:
        part = part_of(folder.name)
        if part in found:
            have = f"{folder.parent} has both {found[part].name} and {folder.name}"
            raise DataError(f"{have}; keep one of them")
        if part:
            found[part] = folder
    return found


def join_parts(name: str, format: str, parts: dict[str, Source]) -> Source:
    """{part: Source of that part alone} -> one Source, all numbered by the training classes."""
    if "train" not in parts:
        raise DataError(f"{name} has {' and '.join(parts) or 'nothing'} but no train part")
    whole = replace(parts["train"], name=name, format=format)
    for part in ("val", "test"):
        if part in parts:
            other = parts[part]
            samples, problems = match_classes(whole.classes, other.classes, other.train)
            added = (*whole.problems, *other.problems, *problems)
            more = {key: whole.facts[key] + other.facts.get(key, 0) for key in COUNTED
                    if key in whole.facts}  # fmt: skip
            whole = replace(whole, problems=added, facts={**whole.facts, **more})
            whole = replace(whole, val=samples) if part == "val" else replace(whole, test=samples)
    return whole
