"""The catalogue of parts: each name leads to a thing that is there, and no part is left out."""

import re
from importlib import import_module

import pytest

from snellen.core import face
from snellen.core.parts import GROUPS, ROOMS, catalogue

PARTS = {name: part for parts in catalogue().values() for name, part in parts.items()}


def resolve(dotted: str) -> object:
    """A dotted name, `sn` for `snellen` -> the thing; AttributeError where nothing is there."""
    first, *rest = re.sub(r"^sn\.", "snellen.", dotted).split(".")
    thing: object = import_module(first)
    for i, word in enumerate(rest):
        try:
            thing = getattr(thing, word)
        except AttributeError:
            thing = import_module(".".join([first, *rest[: i + 1]]))
    return thing


@pytest.mark.parametrize("name", PARTS)
def test_part_is_where_the_catalogue_says(name):
    part = PARTS[name]
    assert part.group in GROUPS
    for dotted in part.where.split(", "):
        resolve(dotted)
    assert part.about
    assert set(part.notes.split()) <= {"000", "001", "002", "003", "004"}


def test_a_wrong_place_is_noticed():
    with pytest.raises((AttributeError, ImportError)):
        resolve("sn.nn.Nothing")


def test_every_file_of_parts_is_in_the_catalogue():
    """A part that nobody finds is none: each file of nn/ has a name in it."""
    named = {resolve(d).__module__ for p in PARTS.values() for d in p.where.split(", ")
             if d.startswith("sn.")}  # fmt: skip
    assert {part.__module__ for part in face.parts("snellen.nn").values()} <= named


def test_rooms_are_there():
    for room in ROOMS:
        import_module(f"snellen.{room}")
