"""Key points that lie in a file of their own, put on the things that they are of."""

from dataclasses import replace
from typing import Any

from ..boxes import BoxSet, Record, Thing
from ..source import Source
from ._export import counts, parts_of


def with_joints(source: Source) -> tuple[Source, list[str]]:
    """A source of boxes -> the same with the key points of person_keypoints_*.json beside, by the
    ids of pictures and annotations; and a line of how many are of no box.
    """
    if not isinstance(source.train, BoxSet) or counts(source)["keypoints"]:
        return source, []
    people = source.of("pose")
    if people is source or people.skeleton is None:
        return source, []
    every = counts(people)["keypoints"]
    told = _told(people)
    parts: dict[str, Any] = {}
    for name, part in parts_of(source).items():
        assert isinstance(part, BoxSet)
        records = [_joined(record, told) for record in part.records]
        parts[name] = replace(part, records=records, num_joints=len(people.skeleton.joints))
    whole = replace(source, skeleton=people.skeleton, **parts)
    lost = every - counts(whole)["keypoints"]
    words = f"left out: {lost} skeletons of no box's id, which lie in files of their own"
    return whole, [words] if lost else []


def _told(people: Source) -> dict[Any, Thing]:
    """{picture and id of an annotation: thing with key points}."""
    return {(record.image, thing.id): thing for part in parts_of(people).values()
            if isinstance(part, BoxSet) for record in part.records for thing in record.things
            if thing.id is not None and any(thing.keypoints[2::3])}  # fmt: skip


def _joined(record: Record, told: dict[Any, Thing]) -> Record:
    things = tuple(
        replace(thing, keypoints=told[record.image, thing.id].keypoints)
        if (record.image, thing.id) in told else thing
        for thing in record.things
    )  # fmt: skip
    return replace(record, things=things)
