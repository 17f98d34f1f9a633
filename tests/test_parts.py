"""The catalogue of parts: each name leads to a thing that is there, and no part is left out."""

import doctest
import re
from importlib import import_module

import pytest
from torch import nn

from snellen.core import face
from snellen.core.parts import GROUPS, ROOMS, catalogue

PARTS = {name: part for parts in catalogue().values() for name, part in parts.items()}
OWN = sorted({dotted for part in PARTS.values() for dotted in part.where.split(", ")
              if re.match(r"sn\.(nn|optim)\.", dotted)})  # fmt: skip


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


@pytest.mark.parametrize("dotted", OWN)
def test_own_part_says_what_comes_out_and_shows_it(dotted):
    thing = resolve(dotted)
    module = import_module(thing.__module__)
    found = doctest.DocTestFinder(recurse=False).find(thing, dotted, module)
    is_layer = isinstance(thing, type) and issubclass(thing, nn.Module)
    assert not is_layer or "->" in thing.__doc__.splitlines()[0]
    assert sum(len(test.examples) for test in found) > 0, "an example that runs is wanted"
    for test in found:
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("dotted", OWN)
def test_own_part_is_found_by_its_name_in_its_room(dotted):
    room, _, name = dotted.rpartition(".")
    assert name in dir(resolve(room))
    assert getattr(resolve(room), name) is resolve(dotted)


@pytest.mark.parametrize("helper", ["nn.device_of", "nn.probe_copy", "nn.meta_copy"])
def test_helpers_can_be_reached_but_are_not_shown(helper):
    room, _, name = helper.partition(".")
    assert name not in dir(resolve(f"sn.{room}"))
    assert callable(resolve(f"sn.{helper}"))


def test_a_wrong_place_is_noticed():
    with pytest.raises((AttributeError, ImportError)):
        resolve("sn.nn.Nothing")


def test_every_file_of_parts_is_in_the_catalogue():
    """A part that nobody finds is none: each file of nn/ and optim/ has a name in it."""
    named = {resolve(dotted).__module__ for dotted in OWN}
    for room in ("snellen.nn", "snellen.optim"):
        assert {part.__module__ for part in face.parts(room).values()} <= named


def test_rooms_are_there():
    for room in ROOMS:
        import_module(f"snellen.{room}")
