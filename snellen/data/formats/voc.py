"""Pascal VOC (Everingham et al. 2010): an XML file of boxes for each picture.

Annotations/*.xml, JPEGImages/ and perhaps ImageSets/Main/{train,val,test}.txt; or XML files beside
their pictures, perhaps in folders train, val, test. Corners count from 1 and are inclusive, so a
box is x1 - 1, y1 - 1, x2, y2 here. Whole numbers with xmin = xmax are a box without width, as
labelling tools write it; with a decimal point (11.0, 11.0) they are one pixel wide.
SegmentationClass/ and SegmentationObject/ hold masks of some pictures, for task=segment and
task=instances.
"""

from pathlib import Path

from ...core.errors import DataError, shortlist
from ..boxes import Box, Record, Thing, image_size
from ..source import Format, Problem, Source
from ._assemble import Listing, assemble
from ._judge import Notes, finish, judge
from ._layout import bases, image_folder, layout, part_in, xml_folder
from ._maps import GROUND, with_maps
from ._media import leaves, pictures
from ._names import Classes, class_list, typos
from ._parts import PARTS
from ._text import decode_text, read_bytes
from ._voc_masks import with_masks
from ._xml import Node, read_xml

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Voc(Format):
    """A folder with Annotations and JPEGImages, or of pairs."""

    name = "voc"
    about = "Pascal VOC: Annotations/*.xml with JPEGImages/, or an .xml beside each picture"

    def detect(self, path: Path) -> bool:
        """XML files in Annotations/ or beside pictures, and neither COCO nor YOLO."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read every XML file; pictures are not opened but where a size is in doubt."""
        classes = class_list(path)
        parts: dict[str, Listing] = {}
        problems: list[Problem] = []
        for base in bases(path):
            folder = xml_folder(base)
            if folder is None:
                continue
            found = read_folder(folder, image_folder(base), classes)
            lists, said = part_lists(base, found)
            problems += said
            own = part_in(base.name) if base != path else None
            for part, listing in _dealt(found, lists, own or "train").items():
                parts.setdefault(part, Listing())
                for record, its in listing:
                    parts[part].take(record, its)
        problems += classes.problems
        numbered = {part: classes.numbered(listing) for part, listing in parts.items()}
        problems += typos(classes, [listing.records for listing in numbered.values()])
        source = assemble(path, self.name, classes.names, numbered, problems)
        return with_masks(source, path, classes) or with_maps(
            source, path, (GROUND, *classes.names)
        )

    def example(self, folder: Path) -> Path:
        """Four pictures of two classes, one of them empty."""
        from ..convert.voc import write_example

        return write_example(folder / "tiny")


Found = dict[str, tuple[Record | None, list[Problem]]]  # by stem


def read_folder(folder: Path, images: Path, classes: Classes) -> Found:
    """The XML files of a folder and their pictures -> {stem: (record or None, its problems)}."""
    files = {f.stem: f for f in sorted(folder.iterdir()) if f.suffix.lower() == ".xml"}
    there = pictures(images)
    found: Found = {}
    for stem, file in files.items():
        notes = Notes(str(file))
        try:
            found[stem] = (read_annotation(file, there, classes, notes), notes.found)
        except DataError as error:
            notes.unreadable(error, "its image is left out")
            found[stem] = (None, notes.found)
    used = {record.image for record, _ in found.values() if record}
    for stem, paths in there.items():
        if stem not in files and not used & set(paths):
            message = "has no annotation; it is left out"
            do = "annotate it, or add an XML file without objects"
            found[stem] = (None, [Problem("label-missing", message, file=paths[0], do=do)])
    return found


def read_annotation(
    file: Path, there: dict[str, list[str]], classes: Classes, notes: Notes
) -> Record | None:
    """One XML file -> its record, labels numbered in order of appearance; None: left out."""
    root = read_xml(file)
    if root.tag != "annotation":
        raise DataError(f"{file} line {root.line} begins with <{root.tag}>, not <annotation>")
    image = _image(file, root, there, notes)
    if image is None:
        return None
    size = _size(root, notes)
    nodes = [node for node in root.children if node.tag == "object"]
    corners = [_corners(node, notes) for node in nodes]
    if size is None or any(c and (c[0][2] > size[0] or c[0][3] > size[1]) for c in corners):
        size = _measured(image, size, notes)
    things = []
    for node, pair in zip(nodes, corners, strict=True):
        thing = pair and _thing(node, pair, size, classes, notes)
        if thing:
            things.append(thing)
    line = getattr(root.find("size/width"), "line", root.line)
    if not nodes:
        message = "names no object; its image is kept as an empty one"
        notes.add("label-no-objects", message, harm="harmless")
    return finish(Record(image, tuple(things), size, str(file), line), len(nodes), notes)


def _image(file: Path, root: Node, there: dict[str, list[str]], notes: Notes) -> str | None:
    """The picture of an annotation: of its own stem, else the one that <filename> names."""
    name = root.text_of("filename")
    same = there.get(file.stem, [])
    if len(same) > 1:
        words = shortlist([Path(p).name for p in same])
        message = f"{words} could all be its image; {Path(same[0]).name} is taken"
        notes.add("file-ambiguous", message, harm="suspect", do="keep one of them")
    if same:
        return next((p for p in same if Path(p).name == name), same[0])
    named = root.find("filename")
    if leaves(name):
        message = f"its image {name!r} lies outside the data set; it is not read"
        notes.add("path-outside", message, named.line if named else None)
        return None
    other = there.get(name.rpartition(".")[0], []) or there.get(name, [])
    if not other:
        message = f"its image {name or file.stem!r} is not there; the annotation is left out"
        notes.add("file-missing", message, named.line if named else None,
                  do="restore the image or remove the annotation")  # fmt: skip
    return other[0] if other else None


def _size(root: Node, notes: Notes) -> tuple[int, int] | None:
    words = [root.text_of("size/width"), root.text_of("size/height")]
    try:
        width, height = (int(float(word)) for word in words)
    except (ValueError, OverflowError):
        width = height = 0
    if width > 0 and height > 0:
        return width, height
    if any(words) and words != ["0", "0"]:
        node = root.find("size")
        message = f"the size {' x '.join(words)} is none; the image's own is taken"
        notes.add("label-size-wrong", message, node.line if node else None)
    return None


def _measured(image: str, said: tuple[int, int] | None, notes: Notes) -> tuple[int, int] | None:
    """The image's own size, and what was said where it cannot be read."""
    try:
        size = image_size(image)
    except DataError:
        return said  # the audit names the picture
    if said and said != size:
        message = f"says {said[0]} x {said[1]}; its image has {size[0]} x {size[1]}"
        notes.add("label-size-wrong", message, do="correct the size, and look at the boxes")
    return size


def _corners(node: Node, notes: Notes) -> tuple[Box, Box, int] | None:
    """An <object> -> (box half-open from 0, the numbers as they stand, line), or None."""
    box = node.find("bndbox")
    words = [box.text_of(name) if box else "" for name in CORNERS]
    line = box.line if box else node.line
    try:
        x1, y1, x2, y2 = (float(word.replace(",", ".")) for word in words)
    except ValueError:
        bad = next((w for w in words if w), "")
        message = f"a box of {words} is no four numbers; it is dropped" if bad else (
            "an object without <bndbox> or with an empty one; it is dropped")  # fmt: skip
        notes.add("box-not-a-number" if bad else "box-missing", message, line)
        return None
    raw, is_whole = (x1, y1, x2, y2), not any("." in word for word in words)
    if is_whole and (x2 <= x1 or y2 <= y1):
        return raw, raw, line
    return (x1 - 1, y1 - 1, x2, y2), raw, line


def _thing(
    node: Node, corners: tuple[Box, Box, int], size: tuple[int, int] | None,
    classes: Classes, notes: Notes,
) -> Thing | None:  # fmt: skip
    box, raw, line = corners
    name = node.find("name")
    label = classes.number(name.text if name else "", notes, name.line if name else node.line)
    kept, faults = judge(box, size, raw)
    for id, message, harm in faults:
        notes.add(id, message, line, harm=harm, do="correct or remove the box")
    if kept is None or label is None:
        return None
    return Thing(label, kept, line, node.text_of("difficult") == "1")


def part_lists(base: Path, found: Found) -> tuple[dict[str, list[str]], list[Problem]]:
    """ImageSets/Main -> {part: stems} and what is wrong; {} where there are no lists."""
    folder = base / "ImageSets" / "Main"
    lists: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for part, words in PARTS.items():
        word = next((w for w in words if (folder / f"{w}.txt").is_file()), None)
        if word:
            lists[part] = _stems(folder / f"{word}.txt", found, problems)
    if "train" not in lists and (folder / "trainval.txt").is_file():
        lists["train"] = _stems(folder / "trainval.txt", found, problems)
    listed = {stem for stems in lists.values() for stem in stems}
    rest = [stem for stem in found if stem not in listed and found[stem][0]] if lists else []
    if rest:
        message = f"{len(rest)} annotated pictures are in no list: {shortlist(rest, 5)}"
        problems.append(Problem("file-not-listed", message, "harmless", str(folder)))
    return lists, problems


def _stems(file: Path, found: Found, problems: list[Problem]) -> list[str]:
    seen: dict[str, int] = {}
    for line, words in enumerate(decode_text(read_bytes(file), file).split("\n"), 1):
        stem = _listed(words.removesuffix("\r"), found)
        if not stem:
            continue
        if stem in seen:
            message = f"{stem!r} is listed in line {seen[stem]} already; taken once"
            problems.append(Problem("file-listed-twice", message, file=str(file), line=line))
        elif stem not in found:
            message = f"{stem!r} has neither annotation nor picture; the line is left out"
            problems.append(Problem("file-missing", message, file=str(file), line=line))
        else:
            seen[stem] = line
    return list(seen)


def _listed(words: str, found: Found) -> str:
    """A line of a list -> its stem: alone, as a file name, or before the 1 or -1 of a class."""
    bare = words.strip()
    for word in (words, bare, Path(bare).stem, bare.rpartition(" ")[0].strip()):
        if word in found:
            return word
    return bare


def _dealt(
    found: Found, lists: dict[str, list[str]], part: str
) -> dict[str, list[tuple[Record | None, list[Problem]]]]:
    """Records by part; what could not be read is told with the first list that names it."""
    if not lists:
        return {part: list(found.values())}
    dealt = {name: [found[stem] for stem in stems] for name, stems in lists.items()}
    listed = {stem for stems in lists.values() for stem in stems}
    strays = [(None, its) for stem, (record, its) in found.items() if stem not in listed]
    dealt["train" if "train" in dealt else next(iter(dealt))] += strays
    return dealt


FORMATS = {"voc": Voc()}
