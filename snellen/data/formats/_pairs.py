"""Pictures and the masks that belong to them: folders beside one another, files of one stem."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import DataError, shortlist
from ..audit._files import file_problem
from ..boxes import image_size
from ..images import read_header
from ..source import Problem
from ._folders import scan
from ._parts import PARTS, part_of

PICTURES = ("images", "JPEGImages", "Images", "imgs", "image", "img")
MASKS = ("masks", "mask", "instances", "labels", "annotations", "semantic", "SegmentationClass",
         "segmentation", "segmentations", "gt", "Masks", "Labels")  # fmt: skip
BESIDE = ("annot", "_masks", "_mask", "_labels", "_label", "_gt")  # train/ and trainannot/
ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_seg", "_gt", "_L")  # of a mask's stem
LOOKS = 16  # heads of masks that tell what they are
OF_THINGS = ("instances", "SegmentationObject")  # folders whose masks number things


@dataclass(frozen=True)
class Folders:
    """The pictures of a part, or of a part's part, and where their masks lie."""

    part: str
    images: Path
    masks: Path


@dataclass
class Pairs:
    """The pictures of a part with their masks; `masks[i]` are several where each is one thing."""

    images: list[str] = field(default_factory=list)
    masks: list[list[str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def mask_folders(path: Path, names: tuple[str, ...] = MASKS) -> list[Folders]:
    """A folder -> where pictures and masks lie in it; [] where no mask is named as a picture is."""
    if not path.is_dir():
        return []
    found = [pair for base in _bases(path) for pair in _in_base(base, names)]
    found += _beside(path) if names is MASKS else []
    found += _one_each(path) if names is MASKS else []
    return [pair for pair in found if _matches(pair)]


def layout_of_masks(path: Path) -> str | None:
    """A folder -> "masks", "instances", or None where no masks lie.

    >>> layout_of_masks(Path("/no/such/folder")) is None
    True
    """
    try:
        found = mask_folders(path)
    except PermissionError:
        return None
    if not found:
        return None
    return "instances" if any(is_of_things(pair) for pair in found) else "masks"


def is_of_things(pair: Folders) -> bool:
    """Whether masks show things one by one: 16 bit, in a folder called so, or a folder a picture.

    Class maps need no more than 8 bit; of a few masks most decide.
    """
    if pair.masks.name in OF_THINGS or pair.masks.parent.name in OF_THINGS:
        return True
    files = [files[0] for files in read_masks(pair).values() if files]
    if not files:
        return False
    if is_folder_each(pair):
        return True
    deep = [is_deep(file) for file in files[:: max(1, len(files) // LOOKS)]]
    return 2 * deep.count(True) > len(deep) - deep.count(None)


def is_deep(mask: str) -> bool | None:
    """Whether a mask has 16 bit or more; None where its head cannot be read."""
    try:
        return read_header(mask).mode.startswith("I")
    except DataError:
        return None


def is_folder_each(pair: Folders) -> bool:
    """Whether the masks of a picture are a folder of files: masks/7/1.png of images/7.png."""
    stems = {Path(file).stem for files in scan(pair.images).images.values() for file in files[:50]}
    return _is_single(pair) or any((pair.masks / stem).is_dir() for stem in stems)


def read_pairs(found: list[Folders]) -> dict[str, Pairs]:
    """{part: its pictures with masks}; a picture or a mask that is alone is said and left out."""
    parts: dict[str, Pairs] = defaultdict(Pairs)
    for folders in found:
        pairs, masks = parts[folders.part], read_masks(folders)
        is_single = _is_single(folders)
        for key, image in _pictures(folders.images).items():
            own = masks.pop("" if is_single else key, [])
            fault = mask_fault(image, own)
            if fault is None:
                pairs.images.append(image)
                pairs.masks.append(own)
            else:
                pairs.problems.append(fault)
        for files in masks.values():
            pairs.problems.append(mask_alone(files[0]))
    return dict(parts)


def read_masks(folders: Folders) -> dict[str, list[str]]:
    """{a picture's path in its folder, without ending: the files of its masks}."""
    masks: dict[str, list[str]] = defaultdict(list)
    keys, is_single = _pictures(folders.images), _is_single(folders)
    for key, file in _files(folders.masks):
        above = key.rpartition("/")[0]
        whole = next((k for k in _shortened(key) if k in keys), None)
        if is_single:
            masks[""].append(file)
        else:
            masks[whole or (above if above in keys else key)].append(file)
    return masks


def _shortened(key: str) -> Iterator[str]:
    """A mask's key -> what its picture's may be: without the ending that says what it is."""
    for ending in ENDINGS:
        if key.endswith(ending):
            yield key.removesuffix(ending)


def mask_alone(file: str) -> Problem:
    """What is said of a mask without its picture."""
    do = "restore the picture or remove the mask"
    return Problem("file-missing", "is a mask of no picture; it is not read", file=file, do=do)


def mask_fault(image: str, masks: list[str]) -> Problem | None:
    """Why a picture cannot be used with its masks, by their first bytes alone."""
    if not masks:
        message, do = (
            "has no mask; it is left out",
            "give it one, all 0 where nothing is to be seen",
        )
        return Problem("label-missing", message, file=image, do=do)
    try:
        width, height = image_size(image)
    except DataError:
        return None  # the audit names the picture
    for mask in masks:
        try:
            header = read_header(mask)
        except DataError as error:
            words = str(error).removeprefix(f"{mask} ").removesuffix("; replace or remove it")
            message = f"{words}; its picture is left out"
            return Problem("label-unreadable", message, file=mask)
        broken = file_problem(mask)  # decodes it only where its end looks wrong
        if broken is not None:
            message = f"{broken.message}; its picture is left out"
            return Problem("label-unreadable", message, file=mask)
        if header.format == "JPEG":
            message = "is a JPEG, which blurs a mask's values; its picture is left out"
            return Problem("mask-broken", message, file=mask, do="save masks as PNG")
        if (header.width, header.height) != (width, height):
            message = f"is {header.width} x {header.height} and its picture {width} x {height}; "
            return Problem("mask-size-wrong", f"{message}it is left out", file=mask,
                           do="give the mask its picture's size, without smoothing")  # fmt: skip
    return None


def _bases(path: Path) -> Iterator[tuple[Path, str | None]]:
    yield path, None
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        if part := part_of(folder.name):
            yield folder, part


def _in_base(place: tuple[Path, str | None], names: tuple[str, ...]) -> Iterator[Folders]:
    """images/ and masks/ of a folder, perhaps with train, val and test in both."""
    base, part = place
    images = next((base / word for word in PICTURES if (base / word).is_dir()), None)
    masks = [base / word for word in names if (base / word).is_dir()]
    if images is None:
        return
    for folder in masks:
        inner = [(p, q.name) for q in sorted(images.iterdir()) if q.is_dir()
                 and (p := part_of(q.name)) and (folder / q.name).is_dir()]  # fmt: skip
        pairs = [Folders(p, images / name, folder / name) for p, name in inner]
        pairs = [pair for pair in pairs if _matches(pair)] or [
            Folders(part or "train", images, folder)
        ]
        if any(_matches(pair) for pair in pairs):
            yield from pairs
            return


def _beside(path: Path) -> Iterator[Folders]:
    """train/ and trainannot/, val/ and val_masks/: pictures and masks of a part side by side."""
    for part, words in PARTS.items():
        for word in words:
            for ending in BESIDE if (path / word).is_dir() else ():
                if (path / f"{word}{ending}").is_dir():
                    yield Folders(part, path / word, path / f"{word}{ending}")


def _one_each(path: Path) -> Iterator[Folders]:
    """A folder for each picture, with images/ and masks/ inside, perhaps below train, val, test."""
    for base, part in _bases(path):
        for folder in sorted(p for p in base.iterdir() if p.is_dir()):
            pair = Folders(part or "train", folder / "images", folder / "masks")
            if part_of(folder.name) is None and pair.images.is_dir() and _is_single(pair):
                yield pair


def _is_single(pair: Folders) -> bool:
    """Whether a folder holds the one picture that all masks beside belong to."""
    is_own = pair.images.name == "images" and pair.masks.name == "masks"
    if not is_own or not pair.masks.is_dir():
        return False
    pictures = _pictures(pair.images)
    return len(pictures) == 1 and pair.images.parent.name == next(iter(pictures))


def _matches(pair: Folders) -> bool:
    """Whether some mask is called as a picture is."""
    if _is_single(pair):
        return True
    keys = _pictures(pair.images)
    return any(key in keys for key in read_masks(pair))


def _pictures(folder: Path) -> dict[str, str]:
    return dict(_files(folder))


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """(path from the folder without its ending, file) of the pictures in a folder and below."""
    for above, files in scan(folder).images.items():
        for file in files:
            stem = os.path.basename(file).rpartition(".")[0]
            yield (f"{above}/{stem}" if above else stem), file


def named_missing(path: Path, pairs: dict[str, Pairs]) -> DataError:
    """What to say where no picture of train is left."""
    have = shortlist([part for part in pairs if pairs[part].images]) or "nothing"
    first = next(
        (f"; the first problem: {p}" for each in pairs.values() for p in each.problems), ""
    )
    return DataError(f"{path} has no picture with a mask to train on (it has {have}){first}")
