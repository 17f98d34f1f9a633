"""What a YOLO data set's yaml says, and what its folders say where it says nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ..sample import Skeleton
from ..source import Problem
from ._folders import scan
from ._layout import are_pairs, bases, part_in, yaml_file
from ._media import leaves, pictures
from ._names import class_list
from ._parts import PARTS
from ._skeleton import mirror_of
from ._text import decode_text, read_bytes


@dataclass
class Setup:
    """The pictures of each part, the class names and the joints of a skeleton."""

    parts: dict[str, list[str]]
    names: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)  # a file's class -> its place in names
    joints: tuple[int, int] = (0, 0)  # how many, and 2 or 3 numbers each
    skeleton: Skeleton | None = None
    problems: list[Problem] = field(default_factory=list)


def read_setup(path: Path) -> Setup:
    """A folder or a yaml -> Setup; raises DataError where no picture can be found."""
    file = yaml_file(path)
    root = path.parent if path.is_file() else path
    said = _load(file) if file else {}
    problems: list[Problem] = []
    parts = _said_parts(file, root, said, problems) if file else {}
    if "train" not in parts:
        if file and any(said.get(word) for word in PARTS["train"]):
            message = "its train is not there; the folders of images are taken as they lie"
            problems.append(Problem("path-missing", message, "harmless", str(file)))
        parts = folder_parts(root) or parts
    named = _names(file, said, problems) or dict(enumerate(class_list(root).names))
    numbers = {number: i for i, number in enumerate(named)}
    joints = said.get("kpt_shape") or (0, 0)
    if not _is_shape(joints):
        raise DataError(f"{file} has kpt_shape {joints!r}; [joints, 2 or 3] is wanted")
    if not any(parts.values()):
        raise DataError(f"{path} has no picture in its images folders")
    skeleton = _skeleton(said, joints[0], file, problems) if joints[0] else None
    names = list(named.values())
    return Setup(parts, names, numbers, (joints[0], joints[1]), skeleton, problems)


def folder_parts(root: Path) -> dict[str, list[str]]:
    """images/<part>, <part>/images, or images alone, which is train."""
    found: dict[str, list[str]] = {}
    if are_pairs(root):
        return {"train": [file for files in pictures(root).values() for file in files]}
    for base in bases(root):
        images = base / "images"
        if not images.is_dir():
            continue
        inner = [folder for folder in bases(images) if folder != images]
        for folder in inner or [images]:
            part = part_in(folder.name) if inner else base != root and part_in(base.name)
            found.setdefault(part or "train", []).extend(list_pictures(folder))
    return found


def list_pictures(folder: Path) -> list[str]:
    """Every picture of a folder and below, sorted.

    >>> list_pictures(Path("/no/such/folder"))
    []
    """
    return sorted(file for files in scan(folder).images.values() for file in files)


def _load(file: Path) -> dict[str, Any]:
    import yaml

    try:
        said = yaml.safe_load(decode_text(read_bytes(file), file))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise DataError(f"{file}{where} is no YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(said, dict):
        raise DataError(f"{file} holds no names and paths; names: and train: are wanted")
    return said


def _said_parts(
    file: Path, root: Path, said: dict[str, Any], problems: list[Problem]
) -> dict[str, list[str]]:
    base = root
    inner = str(said.get("path") or "").strip()
    if inner and not leaves(inner) and (root / inner).is_dir():
        base = root / inner
    parts: dict[str, list[str]] = {}
    for part, words in PARTS.items():
        value = next((said[word] for word in words if said.get(word)), None)
        paths = value if isinstance(value, list) else [value] if value else []
        for word in paths:
            place = _inside(base, str(word))
            if place is not None:
                parts.setdefault(part, []).extend(_listed(place, root, file, problems))
            elif part != "train":
                message = f"{part}: {word} is not there, or outside the data set; it is not read"
                problems.append(Problem("path-missing", message, "suspect", str(file),
                                        _line_of(file, str(word))))  # fmt: skip
    return parts


def _inside(base: Path, word: str) -> Path | None:
    """A path of the yaml below its folder; one that climbs (../train/images) is tried without."""
    parts = [part for part in word.replace("\\", "/").split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        parts.pop(0)
    place = base.joinpath(*parts)
    is_absolute = word.startswith("/")
    return place if parts and ".." not in parts and not is_absolute and place.exists() else None


def _listed(place: Path, root: Path, file: Path, problems: list[Problem]) -> list[str]:
    """A folder's pictures, or those that a list names."""
    if place.is_dir():
        return list_pictures(place)
    found = []
    for line, word in enumerate(decode_text(read_bytes(place), place).splitlines(), 1):
        image = _inside(root, word.strip()) or _inside(place.parent, word.strip())
        if image is not None and image.is_file():
            found.append(str(image))
        elif word.strip():
            message = f"{word.strip()!r} is not there, or outside the data set; it is not read"
            problems.append(Problem("file-missing", message, file=str(place), line=line))
    return found


def _whole(key: Any) -> Any:
    """A key of names as a number, where it is one in quotes."""
    return int(key) if isinstance(key, str) and key.strip().isdecimal() else key


def _names(file: Path | None, said: dict[str, Any], problems: list[Problem]) -> dict[int, str]:
    """{class number: name}, in order; a dictionary may leave numbers out."""
    names = said.get("names")
    if isinstance(names, dict):
        names = {_whole(key): name for key, name in names.items()}
        wrong = [key for key in names if not isinstance(key, int) or not 0 <= key < 100_000]
        if wrong:
            raise DataError(f"{file}: names has the key {wrong[0]!r}; class numbers are wanted")
    elif names is not None and not isinstance(names, list):
        raise DataError(f"{file}: names is {names!r}; a list of class names is wanted")
    count = said.get("nc")
    if names and isinstance(count, int) and count != len(names):
        message = f"nc is {count} and names has {len(names)}; the names are taken"
        line = _line_of(file, "nc:") if file else None
        problems.append(Problem("label-class-count", message, file=str(file), line=line))
    numbered = names if isinstance(names, dict) else dict(enumerate(names or []))
    return {number: str(numbered[number]) for number in sorted(numbered)}


def _skeleton(
    said: dict[str, Any], count: int, file: Path | None, problems: list[Problem]
) -> Skeleton:
    """kpt_names (one list, or one for each class) and flip_idx -> Skeleton."""
    names = said.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    given = names if isinstance(names, list) and len(names) == count else range(count)
    joints = tuple(str(name) for name in given)
    flip = said.get("flip_idx")
    if flip is None:
        return Skeleton(joints, mirror=mirror_of(joints))
    is_order = isinstance(flip, list) and all(type(v) is int for v in flip)
    if is_order and sorted(flip) == list(range(count)):
        return Skeleton(joints, mirror=tuple(flip))
    message = f"flip_idx is {str(flip)[:60]}; each of 0..{count - 1} once is wanted; not used"
    line = _line_of(file, "flip_idx") if file else None
    problems.append(Problem("skeleton-broken", message, file=str(file), line=line))
    return Skeleton(joints)


def _line_of(file: Path, word: str) -> int | None:
    lines = decode_text(read_bytes(file), file).splitlines()
    return next((i for i, line in enumerate(lines, 1) if word in line), None)


def _is_shape(joints: Any) -> bool:
    is_pair = isinstance(joints, list | tuple) and len(joints) == 2
    if not is_pair or not all(isinstance(v, int) for v in joints):
        return False
    return tuple(joints) == (0, 0) or (0 < joints[0] < 1000 and joints[1] in (2, 3))
