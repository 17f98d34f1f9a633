"""YOLO's text files: a line `class x y width height` an object, in shares of the image's size.

images/ and labels/ beside, perhaps with folders train, val, test below or above; data.yaml (or
classes.txt) names the classes. A line with more numbers is a polygon, or key points where the yaml
has kpt_shape. A picture without a label file has no objects: that is the rule of this format.
"""

from dataclasses import replace
from pathlib import Path

from ...core.errors import DataError, shortlist
from ..boxes import Record, Thing
from ..images import is_image_name
from ..masks import are_numbers
from ..source import Format, Problem, Source
from ._assemble import Listing, assemble
from ._judge import Notes, finish, judge
from ._layout import layout
from ._maps import with_maps
from ._text import decode_text, oddities, read_bytes
from ._yolo_yaml import Setup, read_setup


class Yolo(Format):
    """A folder with images/ and labels/, or its yaml."""

    name = "yolo"
    about = "YOLO: images/ and labels/*.txt beside, named by data.yaml or classes.txt"

    def detect(self, path: Path) -> bool:
        """images/ beside labels/*.txt, or a yaml with names and train."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read every label file; pictures are not opened."""
        setup = read_setup(path)
        listings = {part: read_part(files, setup) for part, files in setup.parts.items()}
        highest = max((t.label for each in listings.values() for r in each.records
                       for t in r.things), default=1)  # fmt: skip
        names = setup.names or [str(k) for k in range(highest + 1)]
        problems = [*setup.problems, *orphans(setup)]
        source = assemble(path, self.name, names, listings, problems)
        return with_maps(replace(source, skeleton=setup.skeleton), path)

    def example(self, folder: Path) -> Path:
        """Four pictures of two classes, one of them empty."""
        from ..convert.yolo import write_example

        return write_example(folder / "tiny")


def read_part(images: list[str], setup: Setup) -> Listing:
    """Pictures -> their records, in shares of their sizes."""
    listing = Listing()
    for image in images:
        file = label_file(image)
        notes = Notes(str(file))
        if not file.is_file():
            message = "has no label file; read as a picture without objects"
            found = [Problem("label-missing", message, "harmless", image)]
            listing.take(Record(image, is_relative=True), found)
            continue
        record = None
        try:
            record = read_labels(file, image, setup, notes)
        except DataError as error:
            notes.unreadable(error, "its image is left out")
        listing.take(record, notes.found)
    return listing


def label_file(image: str) -> Path:
    """The text file of a picture: labels/ in place of the last images/, else beside it.

    >>> label_file("a/1.png").as_posix()
    'a/1.txt'
    """
    path = Path(image)
    parts = list(path.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    file = Path(*parts).with_suffix(".txt")
    return file if file.parent.is_dir() else path.with_suffix(".txt")


def read_labels(file: Path, image: str, setup: Setup, notes: Notes) -> Record | None:
    """A text file -> its record; a line that cannot be used is said and dropped."""
    data = read_bytes(file)
    notes.found += oddities(data, file)
    text = decode_text(data, file)
    if "\0" in text:
        raise DataError(f"{file} holds zero bytes")
    things, num_read = [], 0
    for line, words in enumerate(text.replace(",", " ").splitlines(), 1):
        if words.strip():
            num_read += 1
            thing = _thing(words.split(), line, setup, notes)
            things += [thing] if thing else []
    if not num_read:
        message = "names no object; its image is kept as an empty one"
        notes.add("label-no-objects", message, harm="harmless")
    record = Record(image, tuple(things), None, str(file), is_relative=True)
    return finish(record, num_read, notes)


def _thing(words: list[str], line: int, setup: Setup, notes: Notes) -> Thing | None:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        message = f"{' '.join(words)[:60]!r} is not of numbers; the line is dropped"
        notes.add("box-not-a-number", message, line)
        return None
    label, values = numbers[0], numbers[1:]
    num_joints, dims = setup.joints
    is_polygon = not num_joints and len(values) >= 6 and len(values) % 2 == 0
    if len(values) != 4 + num_joints * dims and not is_polygon and len(values) != 4:
        wanted = f"{5 + num_joints * dims}" if num_joints else "5, or a polygon's 7, 9, ..."
        message = f"{len(words)} columns where {wanted} are wanted; the line is dropped"
        notes.add("label-columns", message, line)
        return None
    if not _is_class(label, line, setup, notes):
        return None
    if is_polygon:
        box = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    else:
        x, y, width, height = values[:4]
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    kept, faults = judge(box, (1, 1), None if is_polygon else tuple(values[:4]))  # type: ignore
    for id, message, harm in faults:
        notes.add(id, message, line, harm=harm, do="correct or remove the line")
    if kept is None:
        return None
    number = setup.numbers[int(label)] if setup.names else int(label)
    thing = Thing(number, kept, line, outline=[values] if is_polygon else None)
    if is_polygon or len(values) == 4:
        return thing
    joints = _joints(values[4:], dims)
    if set(joints[2::3]) <= {0.0, 1.0, 2.0} and are_numbers(list(joints)):
        return replace(thing, keypoints=joints)
    message = "key points that are not finite, or of a visibility that is none of 0, 1, 2; dropped"
    notes.add("keypoints-broken", message, line)
    return thing


def _is_class(label: float, line: int, setup: Setup, notes: Notes) -> bool:
    if label != label or label % 1 or abs(label) > 1e6:
        message = f"class {label:g} is no whole number; the line is dropped"
        notes.add("label-out-of-range", message, line)
    elif label < 0 or (setup.names and label not in setup.numbers):
        known = _known(list(setup.numbers))
        message = f"class {label:g} is none of {known}; the line is dropped"
        notes.add("label-out-of-range", message, line, do="correct it, or name the class")
    else:
        return True
    return False


def _known(numbers: list[int]) -> str:
    if not numbers:
        return "0, 1, ..."
    is_whole = numbers == list(range(len(numbers)))
    return f"0..{len(numbers) - 1}" if is_whole else shortlist(map(str, numbers))


def _joints(values: list[float], dims: int) -> tuple[float, ...]:
    """x, y(, v) of each joint -> x, y, v; without v a joint at 0, 0 is not labelled."""
    rows = [values[i : i + dims] for i in range(0, len(values), dims)]
    full = [row if dims == 3 else [*row, 2.0 if any(row) else 0.0] for row in rows]
    return tuple(v for row in full for v in row)


def orphans(setup: Setup) -> list[Problem]:
    """Label files of pictures that are not there."""
    wanted = {str(label_file(image)) for images in setup.parts.values() for image in images}
    folders = {str(label_file(image).parent) for images in setup.parts.values() for image in images}
    problems = []
    for folder in sorted(folders):
        if any(is_image_name(path.name) for path in Path(folder).glob("*")):
            continue  # beside the pictures other text may lie
        for file in sorted(Path(folder).glob("*.txt")):
            if str(file) not in wanted and file.name not in ("classes.txt", "labels.txt"):
                message = "its image is not there; the labels are left out"
                problems.append(Problem("file-missing", message, file=str(file),
                                        do="restore the image or remove the file"))  # fmt: skip
    return problems


FORMATS = {"yolo": Yolo()}
