"""Sources of class maps: from files of masks, or painted from things with outlines."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...core.errors import DataError, shortlist
from ..maps import MapSet, Painted, code_word, codes_in, read_codes
from ..source import Problem, Source
from ._folders import channels_of
from ._layout import panoptic_files
from ._pairs import Folders, Pairs, is_of_things, mask_folders, named_missing, read_pairs
from ._palette import LOOKS, Legend, legend_named, legend_of
from ._panoptic import open_panoptic

GROUND = "background"


def with_maps(source: Source, path: Path, names: Sequence[str] = ()) -> Source:
    """A source of boxes -> the same, with class maps for task=segment: masks that lie beside, with
    these names where no list says others, else painted from outlines.
    """
    maps = partial(maps_of, source, path, names)
    return replace(source, variants={**source.variants, "segment": maps})


def maps_of(source: Source, path: Path, names: Sequence[str]) -> Source:
    """The class maps of a source of boxes; itself where it has none."""
    folders = [pair for pair in mask_folders(path) if not is_of_things(pair)]
    if folders:
        return open_maps(path, folders, source.format, names)
    if panoptic := panoptic_files(path):
        return open_panoptic(path, panoptic)
    return painted(source) if source.facts.get("outlines") else source


def painted(source: Source) -> Source:
    """A source of things with masks -> class maps, the ground as class 0."""
    val, test = (part and Painted(part) for part in (source.val, source.test))
    classes = (GROUND, *source.classes)
    return replace(source, train=Painted(source.train), val=val, test=test, classes=classes,
                   skeleton=None, variants={})  # fmt: skip


def open_maps(
    path: Path, folders: Sequence[Folders], format: str, names: Sequence[str] = ()
) -> Source:
    """Pairs of folders -> a source of class maps; raises DataError where none is left."""
    parts = read_pairs(list(folders))
    masks = [file for part in parts.values() for each in part.masks for file in each]
    if not parts.get("train", Pairs()).images:
        raise named_missing(path, parts)
    roots = [path, *dict.fromkeys(folder.masks for folder in folders),
             *dict.fromkeys(folder.images.parent for folder in folders)]  # fmt: skip
    legend = legend_of(roots, masks) if not names else legend_named(dict(enumerate(names)))
    return source_of_maps(path, parts, format, legend)


def source_of_maps(path: Path, parts: dict[str, Pairs], format: str, legend: Legend) -> Source:
    """Pictures with their maps, a map each -> a source; raises DataError where none is left."""
    masks = [file for part in parts.values() for each in part.masks for file in each]
    problems = [Problem("mask-values", legend.note, "harmless", masks[0])] if legend.note else []
    for pairs in parts.values():
        problems += pairs.problems
        problems += strange_masks(pairs, legend)
    if not parts["train"].images:
        raise DataError(f"{path} has no mask that can be used; the first problem: {problems[-1]}")
    every = [image for pairs in parts.values() for image in pairs.images]
    channels = channels_of(every)
    sets = {part: MapSet(pairs.images, [each[0] for each in pairs.masks], legend.palette, channels)
            for part, pairs in parts.items()}  # fmt: skip
    facts = {"images": len(every), "channels": channels, "maps": len(every)}
    return Source(str(path), format, sets["train"], legend.names, sets.get("val"),
                  sets.get("test"), tuple(problems), facts)  # fmt: skip


def strange_masks(pairs: Pairs, legend: Legend) -> list[Problem]:
    """Leave out the pictures whose masks hold values of no class; what was looked at and is wrong.

    Masks that are not looked at raise when they are read.
    """
    problems, bad = [], set()
    for row in range(0, len(pairs.images), max(1, len(pairs.images) // LOOKS)):
        file = pairs.masks[row][0]
        try:
            codes_HW = read_codes(file)
        except DataError as error:
            words, id = f"{str(error).removeprefix(f'{file} ')}; its picture is left out", ""
            problems.append(Problem("label-unreadable", words, file=file))
            bad.add(row)
            continue
        strange = legend.palette.strange(codes_HW)
        if strange:
            words = shortlist([code_word(code) for code in strange], 4)
            y, x = (int(v[0]) for v in (codes_HW == strange[0]).nonzero())
            id = f"holds {words}, none of the {len(legend.names)} classes, first at x {x}, y {y}"
            problems.append(Problem("label-unknown-class", f"{id}; its picture is left out",
                                    file=file, do="correct it, or name the class"))  # fmt: skip
            bad.add(row)
        elif not set(codes_in(codes_HW)) & set(legend.palette.codes):
            problems.append(Problem("label-no-objects", "holds no class, 255 alone; it is kept",
                                    "suspect", file))  # fmt: skip
    pairs.images = [image for i, image in enumerate(pairs.images) if i not in bad]
    pairs.masks = [each for i, each in enumerate(pairs.masks) if i not in bad]
    return problems
