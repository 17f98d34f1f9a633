"""Which kind of labelled pictures lies at a path, told by names of folders and a look at files."""

import mmap
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..images import SUFFIXES
from ._pairs import layout_of_masks
from ._parts import PARTS, part_of

IMAGES = ("JPEGImages", "images", "Images", "imgs")
YAML = (".yaml", ".yml")
YEAR = re.compile(r"VOC\d{4}")
COCO_WORDS = (b'"images"', b'"annotations"', b'"categories"')
PANOPTIC = b'"segments_info"'
CAPTION = b'"caption"'
NAMES = ("classes.txt", "obj.names", "classes.names")  # lists of classes beside pictures
LOOKS = 50  # files of a folder that are looked at


def layout(path: Path) -> str | None:
    """A path -> "coco", "yolo", "voc", "masks", "instances", "panoptic", "captions", or None.

    >>> layout(Path("/no/such/folder")) is None
    True
    """
    try:
        if path.is_file():
            return _file_layout(path)
        if not path.is_dir():
            return None
        if coco_files(path):
            return "coco"
        if any(True for base in bases(path) if _has_yolo(base)):
            return "yolo"
        if any(xml_folder(base) for base in bases(path)):
            return "voc"
        found = layout_of_masks(path) or _other_json(path)
        return found or ("coco" if damaged_files(path) else None)
    except PermissionError:
        return None


def bases(path: Path) -> Iterator[Path]:
    """The folder itself and its folders for parts (train, valid ...) or of VOC's years."""
    yield path
    for folder in sorted(path.iterdir()):
        if (part_in(folder.name) or YEAR.fullmatch(folder.name)) and folder.is_dir():
            yield folder


def part_in(name: str) -> str | None:
    """The part that a name speaks of, or None.

    >>> part_in("instances_val2017.json"), part_in("train2017"), part_in("trainval")
    ('val', 'train', None)
    """
    words = re.split(r"[^A-Za-z]+", name)
    return next((part for word in words if (part := part_of(word))), None)


def coco_files(path: Path) -> list[Path]:
    """The instance files of a folder: in annotations/, beside the pictures, or in parts."""
    found = json_files(path)
    boxes = [file for file in found if "keypoints" not in file.name]
    return boxes or found


def keypoint_files(path: Path) -> list[Path]:
    """The json files with key points by their names, else those of instances."""
    return [file for file in json_files(path) if "keypoints" in file.name] or coco_files(path)


def json_files(path: Path) -> list[Path]:
    """All json files of a folder in COCO's form."""
    found: list[Path] = []
    every: list[Path] = []
    for folder in (path / "annotations", *bases(path)):
        if folder.is_dir():
            files = sorted(p for p in folder.glob("*.json") if p.is_file())
            found += [file for file in files[:LOOKS] if is_coco(file)]
            every += files[:LOOKS]
            if not found and folder.name == "annotations":  # damaged ones: to be opened and named
                found += [file for file in files[:LOOKS] if _is_half_coco(file)]
    return _with_broken(found, every)


def _with_broken(found: list[Path], every: Sequence[Path]) -> list[Path]:
    """The files of a kind and those of the same names for other parts that are none, to be opened
    and named; a json of test pictures alone is no broken one.
    """
    names = {_but_part(file) for file in found}
    return [file for file in every if file in found
            or (_but_part(file) in names and not _is_untold_test(file))]  # fmt: skip


def _but_part(file: Path) -> tuple[str, ...]:
    """A name without its part: instances_train2017 and instances_val are of one kind."""
    words = re.split(r"[^A-Za-z]+", file.stem)
    return tuple("" if part_of(word) else word for word in words if word)


def _is_untold_test(file: Path) -> bool:
    """Whether a whole json lists test pictures and says nothing of them."""
    is_test = "test" in (part_in(file.stem), part_in(file.parent.name))
    if not is_test or not _says(file, COCO_WORDS[:1]) or _says(file, COCO_WORDS[1:2]):
        return False
    return file.read_bytes()[-64:].rstrip().endswith(b"}")


def damaged_files(path: Path) -> list[Path]:
    """The first json of annotations/ where images/ lies beside and nothing else is told by it: one
    that is empty or of another form, to be opened and named.
    """
    if not any((path / word).is_dir() for word in IMAGES):
        return []
    return sorted(p for p in (path / "annotations").glob("*.json") if p.is_file())[:1]


def is_coco(file: Path, *, words: int = 3) -> bool:
    """Whether a file is COCO's json of instances (not captions, panoptic, results)."""
    return _says(file, COCO_WORDS, words) and not _says(file, (PANOPTIC,))


def _is_half_coco(file: Path) -> bool:
    """Whether a json has two of COCO's lists, and no captions."""
    return is_coco(file, words=2) and not _says(file, (CAPTION,))


def panoptic_files(path: Path) -> list[Path]:
    """The panoptic json files of a folder, or the file itself."""
    every = _json_near(path)
    return _with_broken([file for file in every if _says(file, (*COCO_WORDS, PANOPTIC))], every)


def caption_files(path: Path) -> list[Path]:
    """The json files of captions of a folder, or the file itself."""
    words, every = (*COCO_WORDS[:2], CAPTION), _json_near(path)
    found = [file for file in every if _says(file, words) and not is_coco(file)]
    return _with_broken(found, every)


def _json_near(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".json" else []
    folders = (path / "annotations", path)
    return [file for folder in folders if folder.is_dir()
            for file in sorted(folder.glob("*.json"))[:LOOKS] if file.is_file()]  # fmt: skip


def _says(file: Path, wanted: Sequence[bytes], least: int | None = None) -> bool:
    """Whether a file is a json object that holds all these words, or the least number of them."""
    try:
        with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=1) as data:
            head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
            found = sum(data.find(word) >= 0 for word in wanted)
            return head.startswith(b"{") and found >= (least or len(wanted))
    except (OSError, ValueError):  # ValueError: an empty file
        return False


def xml_folder(base: Path) -> Path | None:
    """Where the annotations of a VOC folder lie: in Annotations/, or beside the pictures."""
    for folder in (base / "Annotations", base / "annotations"):
        if _holds(folder, ".xml"):
            return folder
    return base if _holds(base, ".xml") and _holds(base, *SUFFIXES) else None


def image_folder(base: Path) -> Path:
    """Where the pictures of a VOC folder lie."""
    return next((base / word for word in IMAGES if (base / word).is_dir()), base)


def yaml_file(path: Path) -> Path | None:
    """The yaml of a YOLO data set: one that has both names and train, else data.yaml."""
    if path.is_file():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in YAML and p.is_file())
    files.sort(key=lambda p: p.stem != "data")
    whole = (file for file in files if _is_yolo_yaml(file))
    return next(whole, next((file for file in files if file.stem == "data"), None))


def _file_layout(path: Path) -> str | None:
    if path.suffix == ".json":
        return "coco" if is_coco(path) else _other_json(path)
    return "yolo" if path.suffix in YAML and _is_yolo_yaml(path) else None


def _other_json(path: Path) -> str | None:
    if panoptic_files(path):
        return "panoptic"
    return "captions" if caption_files(path) else None


def _is_yolo_yaml(file: Path) -> bool:
    with open(file, "rb") as stream:
        text = b"\n" + stream.read(2**20)
    return b"\nnames" in text and any(f"\n{word}:".encode() in text for word in PARTS["train"])


def _has_yolo(base: Path) -> bool:
    """images/ with labels/*.txt beside it, perhaps in folders below; or all in one folder."""
    if are_pairs(base):
        return True
    labels = base / "labels"
    if not labels.is_dir() or not (base / "images").is_dir():
        return False
    below = (name for _, _, names in os.walk(labels) for name in names)
    return any(name.lower().endswith(".txt") for name in below)


def are_pairs(base: Path) -> bool:
    """Whether pictures, their text files and a list of classes lie in one folder."""
    has_list = any((base / name).is_file() for name in NAMES)
    return has_list and _holds(base, ".txt") and _holds(base, *SUFFIXES)


def _holds(folder: Path, *suffixes: str) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(suffixes) for entry in entries)
