"""Instance masks: each thing of a picture has a number in its mask, or a mask of its own.

images/7.png with masks/7.png of 16 bit (0 is none, 1, 2 ... are things), with masks/7/1.png,
2.png ..., or 7/images/7.png with 7/masks/*.png. All things are of one class, which classes.txt may
name.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ..boxes import BoxSet
from ..instances import InstanceRecords
from ..source import Format, Problem, Source
from ._folders import channels_of
from ._layout import layout
from ._maps import painted
from ._names import class_list
from ._pairs import (
    Folders,
    Pairs,
    is_deep,
    is_folder_each,
    mask_folders,
    named_missing,
    read_pairs,
)


class Instances(Format):
    """Pictures with things of one kind."""

    name = "instances"
    about = "instance masks: images/ with masks/ beside, 16-bit PNGs of numbers, or a PNG a thing"

    def detect(self, path: Path) -> bool:
        """Masks of numbers or one a thing, with no boxes beside."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Pair the files by their heads; a mask is read when it is asked for."""
        return open_instances(path, mask_folders(path), self.name)

    def example(self, folder: Path) -> Path:
        """Three pictures, the last without a thing."""
        from PIL import Image

        for name in ("images", "masks"):
            (folder / "tiny" / name).mkdir(parents=True)
        for i in range(3):
            numbers = np.zeros((12, 16), np.uint16)
            if i < 2:
                numbers[2:6, 2:7], numbers[7:11, 8 + i : 14] = 1, 2
            Image.fromarray(numbers).save(folder / "tiny" / "masks" / f"{i}.png")
            shown = np.uint8(30 + 90 * numbers)
            Image.fromarray(shown).save(folder / "tiny" / "images" / f"{i}.png")
        (folder / "tiny" / "classes.txt").write_text("cell\n", encoding="utf-8")
        return folder / "tiny"


def open_instances(path: Path, folders: list[Folders], format: str) -> Source:
    """Pairs of folders -> a source of things with masks; task=segment sees thing and ground."""
    names = class_list(path).names or ["object"]
    if len(names) > 1:
        raise DataError(
            f"{path} names {len(names)} classes; masks of numbered things have one; class maps are "
            "to be saved as 8-bit PNGs"
        )
    parts = read_pairs(folders)
    if not parts.get("train", Pairs()).images:
        raise named_missing(path, parts)
    is_numbered = not any(is_folder_each(pair) for pair in folders)
    every = [image for pairs in parts.values() for image in pairs.images]
    every_mask = [mask for pairs in parts.values() for each in pairs.masks for mask in each]
    channels = channels_of(every)
    sets = {part: BoxSet(
        InstanceRecords(pairs.images, pairs.masks, is_numbered), channels, has_outlines=True)
            for part, pairs in parts.items()}  # fmt: skip
    problems = tuple(problem for pairs in parts.values() for problem in pairs.problems)
    problems += tuple(shallow(every_mask)) if is_numbered else ()
    facts = {"images": len(every), "channels": channels, "masks": len(every_mask)}
    source = Source(str(path), format, sets["train"], tuple(names), sets.get("val"),
                    sets.get("test"), problems, facts)  # fmt: skip
    return replace(source, variants={"segment": partial(painted, source)})


def shallow(masks: list[str]) -> Iterator[Problem]:
    """The masks of 8 bit among those of 16: a map of classes has perhaps slipped in."""
    depths = {mask: is_deep(mask) for mask in masks}
    if True in depths.values():
        for mask, deep in depths.items():
            if deep is False:
                message = "has 8 bit and others here 16; its values are read as numbers of things"
                yield Problem("mask-values", message, "suspect", mask, do="save it as they are")


FORMATS = {"instances": Instances()}
