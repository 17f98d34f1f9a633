"""A source of boxes -> Pascal VOC: Annotations, JPEGImages, ImageSets/Main and labels.txt.

labels.txt keeps the order of the classes and those without a box, which VOC has no place for.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from ...core.errors import DataError
from ..boxes import Thing
from ..source import Source
from ._export import COCOS, Item, example_items, items, place, renamed

UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # for XML


def write(source: Source, folder: Path) -> list[str]:
    """Boxes and classes; crowds become difficult, outlines and key points have no place."""
    found = list(items(source, flat=True))
    write_items(found, source.classes, folder)
    return list(renamed(found))


def write_items(found: Iterable[Item], classes: Sequence[str], folder: Path) -> None:
    """Items -> a file each, and the list of each part."""
    odd = next((name for name in classes if not is_xml_line(name)), None)
    if odd is not None:
        raise DataError(f"VOC cannot hold the class name {odd!r}; rename the class")
    (folder / "Annotations").mkdir(parents=True)
    lists = defaultdict(list)
    for item in found:
        text = document(item, classes)
        (folder / "Annotations" / f"{item.stem}.xml").write_text(text, encoding="utf-8")
        place(item.record.image, folder / "JPEGImages" / item.name)
        lists[item.part].append(item.stem)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for part, stems in lists.items():
        text = "".join(f"{stem}\n" for stem in stems)
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text(text, encoding="utf-8")
    names = "".join(f"{name}\n" for name in classes)
    (folder / "labels.txt").write_text(names, encoding="utf-8")


def document(item: Item, classes: Sequence[str]) -> str:
    """The XML of one picture."""
    width, height = item.size
    lines = [
        "<annotation>",
        f"  <filename>{escape(UNFIT.sub('?', item.name))}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
    ]
    for thing in item.record.things:
        lines += ["  <object>", f"    <name>{escape(classes[thing.label])}</name>"]
        lines += [f"    <difficult>{int(thing.ignored)}</difficult>", "    <bndbox>"]
        lines += [f"      <{name}>{word}</{name}>" for name, word in corners(thing).items()]
        lines += ["    </bndbox>", "  </object>"]
    return "\n".join([*lines, "</annotation>", ""])


def is_xml_line(name: str) -> bool:
    r"""Whether a name can stand in XML and on one line of labels.txt.

    >>> is_xml_line("red & blue"), is_xml_line("red\nblue")
    (True, False)
    """
    return len(name.splitlines()) == 1 and not UNFIT.search(name)


def corners(thing: Thing) -> dict[str, str]:
    """VOC's inclusive corners from 1; decimals where a side is not a whole pixel or more than one.

    >>> corners(Thing(0, (10.0, 20.0, 30.0, 40.0)))
    {'xmin': '11', 'ymin': '21', 'xmax': '30', 'ymax': '40'}
    """
    x1, y1, x2, y2 = thing.box
    values = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
    is_whole = all(v == int(v) for v in values.values()) and x2 - x1 > 1 and y2 - y1 > 1
    return {name: str(int(v)) if is_whole else repr(float(v)) for name, v in values.items()}


def write_example(folder: Path) -> Path:
    """A tiny data set in this form."""
    write_items(example_items(folder.with_name("source")), ("ball", "box"), folder)
    return folder


WRITERS = {"voc": write}
LOSES = {"voc": ("outlines", "keypoints", *COCOS)}
