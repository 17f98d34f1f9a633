"""Parts read one by one -> a Source of boxes, with rows for the problems and what all parts say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.errors import DataError, shortlist
from ..boxes import BoxSet, Record
from ..source import Problem, Source
from ._axes import exchanged
from ._folders import channels_of


@dataclass
class Listing:
    """The records of one part, each with its problems, and problems of no record."""

    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, record: Record | None, found: Sequence[Problem]) -> None:
        """Add a record, or only what was wrong with it."""
        if record is None:
            self.problems += found
            return
        row = (len(self.records),)
        self.problems += [replace(problem, samples=row) for problem in found]
        self.records.append(record)


def assemble(
    name: Path, format: str, classes: Sequence[str], parts: Mapping[str, Listing],
    problems: Sequence[Problem] = (),
) -> Source:  # fmt: skip
    """{part: Listing} -> Source; raises DataError where no record of train is left."""
    said = [*problems, *(p for listing in parts.values() for p in listing.problems)]
    if "train" not in parts or not parts["train"].records:
        have = shortlist([part for part in parts if parts[part].records]) or "nothing"
        first = next((f"; the first problem: {p}" for p in said if p.harm == "harmful"), "")
        raise DataError(f"{name} has no picture to train on (it has {have}){first}")
    every = [record.image for listing in parts.values() for record in listing.records]
    channels = channels_of(every)
    every_thing = [t for listing in parts.values() for r in listing.records for t in r.things]
    has_outlines = any(thing.outline for thing in every_thing)
    num_joints = max((len(thing.keypoints) // 3 for thing in every_thing), default=0)
    sets = {part: BoxSet(listing.records, channels, has_outlines=has_outlines,
                         num_joints=num_joints) for part, listing in parts.items()}  # fmt: skip
    said = [*problems, *(p for part, listing in parts.items() for p in _of_part(part, listing))]
    said += exchanged(said, len(every_thing))
    return Source(
        str(name), format, sets["train"], tuple(classes), sets.get("val"), sets.get("test"),
        (*said, *_shared(parts)), facts(parts, channels),
    )  # fmt: skip


def facts(parts: Mapping[str, Listing], channels: int) -> dict[str, int]:
    """What `snellen data` prints of a set of boxes."""
    records = [record for listing in parts.values() for record in listing.records]
    things = [thing for record in records for thing in record.things]
    counts = {
        "images": len(records),
        "channels": channels,
        "boxes": len(things),
        "empty": sum(not record.things for record in records),
        "outlines": sum(bool(thing.outline) for thing in things),
        "keypoints": sum(bool(thing.keypoints) for thing in things),
        "ignored": sum(thing.ignored for thing in things),
    }
    return {key: n for key, n in counts.items() if n or key in ("images", "channels", "boxes")}


def _of_part(part: str, listing: Listing) -> Iterator[Problem]:
    for problem in listing.problems:
        yield replace(problem, part=part)


def _shared(parts: Mapping[str, Listing]) -> Iterator[Problem]:
    """A picture that two parts list is a leak."""
    home: dict[str, str] = {}
    for part, listing in parts.items():
        for row, record in enumerate(listing.records):
            first = home.setdefault(record.image, part)
            if first != part:
                do = f"leave it out of {part}: its score is not honest"
                yield Problem("data-leak-train-val", f"is listed in {first} and in {part}",
                              file=record.image, samples=(row,), do=do, part=part)  # fmt: skip
