"""Sets of boxes with known faults: clean ones are written, then spoilt, by code of the tests' own.

Nothing of the readers or writers under test is used. A fault is (kind, file, line); `HARMLESS`
kinds must be read right, all others must be said of that file, and of that line where there is one.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 72
CLASSES = ("apple", "pear", "plum")
Fault = tuple[str, Path, int | None]
HARMLESS = {"crlf", "bom", "blank line", "blanks", "commas", "class blank", "empty"}
IDS = {  # kind -> the ids that say it
    "nan": "box-nonfinite", "negative": "box-negative", "swapped": "box-swapped",
    "outside": "box-outside", "zero": "box-zero-area", "duplicate": "box-duplicate",
    "word": "box-not-a-number", "other units": "box-normalised box-not-normalised",
    "class": "label-unknown-class label-out-of-range label-class-slip",
    "columns": "label-columns box-missing", "broken": "label-unreadable",
    "no image": "file-missing", "no label": "label-missing", "size": "label-size-wrong",
    "twice": "file-listed-twice label-id-twice", "orphan": "label-orphan",
    "cut off": "file-truncated", "escape": "path-outside", "leak": "data-leak-train-val",
    "tiny": "box-tiny", "crlf": "label-crlf", "bom": "label-bom", "blank line": "label-blank-line",
    "blanks": "label-blanks", "commas": "label-commas", "class blank": "class-name-blanks",
    "empty": "label-no-objects",
}  # fmt: skip


def scene(random: np.random.RandomState, count: int) -> list[tuple[int, list[int]]]:
    """Some objects [(class, [x1, y1, x2, y2])], half-open and whole, all inside, none alike."""
    found = []
    for _ in range(count):
        x1, y1 = random.randint(0, WIDTH - 20), random.randint(0, HEIGHT - 20)
        box = [x1, y1, x1 + random.randint(6, 20), y1 + random.randint(6, 20)]
        found.append((int(random.randint(3)), [int(v) for v in box]))
    return found


def picture(path: Path, random: np.random.RandomState) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = Image.fromarray(random.randint(0, 256, (6, 8, 3)).astype(np.uint8))
    small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=90)


def clean(root: Path, seed: int, kinds: int) -> dict[str, list]:
    """Enough scenes that every fault gets one of its own, {stem: scene}."""
    random = np.random.RandomState(seed)
    names = [f"photo {i:03}" if i % 7 == 3 else f"p{seed}_{i:03}" for i in range(kinds + 30)]
    return {name: scene(random, 3 + random.randint(4)) for name in names}


def line_of(file: Path, words: str, which: int = 0) -> int:
    """The line where `words` stand for the which-th time."""
    text = file.read_text()
    start = [m.start() for m in re.finditer(re.escape(words), text)][which]
    return text[:start].count("\n") + 1


def cut_off(image: Path) -> Fault:
    data = image.read_bytes()
    image.write_bytes(data[: len(data) * 2 // 3])
    return "cut off", image, None


# VOC


def voc(root: Path, seed: int) -> tuple[Path, list[Fault]]:
    """A VOC folder with one fault of each kind."""
    scenes = clean(root, seed, len(VOC) + 3)
    random = np.random.RandomState(seed + 1)
    (root / "Annotations").mkdir(parents=True)
    for stem, things in scenes.items():
        picture(root / "JPEGImages" / f"{stem}.jpg", random)
        (root / "Annotations" / f"{stem}.xml").write_text(voc_text(stem, things))
    stems = random.permutation(sorted(scenes)).tolist()
    faults = []
    for kind, spoil in VOC.items():
        file = root / "Annotations" / f"{stems.pop()}.xml"
        faults.append((kind, file, spoil(file, random)))
    image = root / "JPEGImages" / f"{stems.pop()}.jpg"
    faults.append(cut_off(image))
    (gone, bare), rest = stems[:2], stems[2:]
    (root / "JPEGImages" / f"{gone}.jpg").unlink()
    faults.append(("no image", root / "Annotations" / f"{gone}.xml", 2))
    (root / "Annotations" / f"{bare}.xml").unlink()
    faults.append(("no label", root / "JPEGImages" / f"{bare}.jpg", None))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    train = [stem for stem in scenes if stem not in rest[:8]]
    (lists / "train.txt").write_text("\n".join([*train, train[5]]) + "\n")
    (lists / "val.txt").write_text("\n".join([*rest[:8], rest[8]]) + "\n")
    faults.append(("twice", lists / "train.txt", len(train) + 1))
    faults.append(("leak", root / "JPEGImages" / f"{rest[8]}.jpg", None))
    return root, faults


def voc_text(stem: str, things: list) -> str:
    lines = ["<annotation>", f"<filename>{stem}.jpg</filename>", "<size>",
             f"<width>{WIDTH}</width>", f"<height>{HEIGHT}</height>", "</size>"]  # fmt: skip
    for label, (x1, y1, x2, y2) in things:
        lines += ["<object>", f"<name>{CLASSES[label]}</name>", "<bndbox>"]
        lines += [f"<xmin>{x1 + 1}</xmin>", f"<ymin>{y1 + 1}</ymin>"]
        lines += [f"<xmax>{x2}</xmax>", f"<ymax>{y2}</ymax>", "</bndbox>", "</object>"]
    return "\n".join([*lines, "</annotation>"])


def edit(tag: str, value: str | Callable[[str], str], at: str = "<bndbox>") -> Callable:
    """Replace what stands in the first `tag` of a random object; return the line of its `at`."""

    def spoil(file: Path, random: np.random.RandomState) -> int:
        text = file.read_text()
        matches = list(re.finditer(f"(?<=<{tag}>).*?(?=</{tag}>)", text))
        which = random.randint(len(matches))
        match = matches[which]
        new = value(match[0]) if callable(value) else value
        file.write_text(text[: match.start()] + new + text[match.end() :])
        return line_of(file, at, which)

    return spoil


def swap(file: Path, random: np.random.RandomState) -> int:
    text = file.read_text()
    low, high = (re.search(f"<{t}>(.*?)</{t}>", text)[1] for t in ("ymin", "ymax"))
    text = text.replace(f"<ymin>{low}<", f"<ymin>{high}<", 1)
    file.write_text(text.replace(f"<ymax>{high}<", f"<ymax>{low}<", 1))
    return line_of(file, "<bndbox>")


def same_x(file: Path, random: np.random.RandomState) -> int:
    text = file.read_text()
    low = re.search("<xmin>(.*?)<", text)[1]
    file.write_text(re.sub("<xmax>.*?<", f"<xmax>{low}<", text, count=1))
    return line_of(file, "<bndbox>")


def replaced(pattern: str, new: str, at: str) -> Callable:
    def spoil(file: Path, random: np.random.RandomState) -> int:
        file.write_text(re.sub(pattern, new, file.read_text(), count=1, flags=re.DOTALL))
        return line_of(file, at)

    return spoil


def repeated(file: Path, random: np.random.RandomState) -> int:
    text = file.read_text()
    thing = re.search("<object>.*?</object>\n", text, re.DOTALL)[0]
    file.write_text(text.replace("</annotation>", thing + "</annotation>"))
    return line_of(file, "<bndbox>", text.count("<bndbox>"))


def broken(file: Path, random: np.random.RandomState) -> None:
    text = file.read_text()
    file.write_text(text[: len(text) * 3 // 4])


VOC: dict[str, Callable] = {
    "nan": edit("ymin", "nan"),
    "negative": edit("xmin", "-30"),
    "outside": edit("xmax", str(WIDTH + 40)),
    "swapped": swap,
    "zero": same_x,
    "word": edit("ymax", "many"),
    "class": edit("name", lambda name: name[:-2] + name[-1] + name[-2], at="<name>"),
    "class blank": edit("name", lambda name: name + " ", at="<name>"),
    "columns": replaced("<bndbox>.*?</bndbox>\n", "", "<object>"),
    "other units": replaced("<bndbox>.*?</bndbox>", "<bndbox>\n<xmin>.2</xmin><ymin>.3</ymin>"
                            "<xmax>.5</xmax><ymax>.6</ymax></bndbox>", "<bndbox>"),
    "duplicate": repeated,
    "broken": broken,
    "empty": lambda f, _: f.write_text(re.sub("<object>.*</object>\n", "", f.read_text(),
                                              flags=re.DOTALL)) and None,
    "size": edit("width", str(WIDTH * 2), at="<width>"),
}  # fmt: skip


# YOLO


def yolo(root: Path, seed: int) -> tuple[Path, list[Fault]]:
    """A YOLO folder with one fault of each kind."""
    scenes = clean(root, seed, len(YOLO) + 3)
    random = np.random.RandomState(seed + 2)
    labels = root / "labels"
    labels.mkdir(parents=True)
    for stem, things in scenes.items():
        picture(root / "images" / f"{stem}.jpg", random)
        (labels / f"{stem}.txt").write_text("".join(yolo_line(*thing) for thing in things))
    names = "".join(f"  {k}: {name}\n" for k, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(f"path: .\ntrain: images\nnc: 3\nnames:\n{names}")
    stems = random.permutation(sorted(scenes)).tolist()
    faults: list[Fault] = []
    for kind, spoil in YOLO.items():
        file = labels / f"{stems.pop()}.txt"
        lines = file.read_bytes().decode().splitlines(keepends=True)
        at = int(random.randint(len(lines)))
        lines[at], whole = spoil(lines[at]), None
        text = "".join(lines)
        if kind == "bom":
            text, whole = "\ufeff" + text, 1
        file.write_bytes(text.encode())
        faults.append((kind, file, whole or (None if kind == "broken" else at + 1)))
        if kind == "duplicate":
            faults[-1] = (kind, file, at + 2)
    faults.append(cut_off(root / "images" / f"{stems.pop()}.jpg"))
    gone = stems.pop()
    (root / "images" / f"{gone}.jpg").unlink()
    faults.append(("no image", labels / f"{gone}.txt", None))
    return root, faults


def yolo_line(label: int, box: list[int]) -> str:
    x1, y1, x2, y2 = box
    shares = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return " ".join([str(label), *(f"{share:.6f}" for share in shares)]) + "\n"


def cell(column: int, value: str) -> Callable[[str], str]:
    """A line with another word in one column."""

    def spoil(line: str) -> str:
        words = line.split()
        words[column] = value
        return " ".join(words) + "\n"

    return spoil


YOLO: dict[str, Callable[[str], str]] = {
    "nan": cell(2, "nan"),
    "negative": cell(1, "-0.01"),
    "outside": cell(2, "1.01"),
    "swapped": cell(3, "-0.1"),
    "zero": cell(4, "0"),
    "word": cell(3, "wide"),
    "class": cell(0, "7"),
    "columns": lambda line: line.strip() + " 0.9\n",
    "other units": lambda line: f"{line[0]} 40 30 12 13\n",
    "duplicate": lambda line: line + line,
    "broken": lambda line: "\udcff".encode("utf-8", "surrogateescape").decode("latin-1") + "\0\n",
    "crlf": lambda line: line.replace("\n", "\r\n"),
    "bom": lambda line: line,
    "blank line": lambda line: "\n" + line,
    "blanks": lambda line: line.replace("\n", "  \n"),
    "commas": lambda line: line.replace(" ", ", "),
    "tiny": cell(3, "0.012"),
}


# COCO


def coco(root: Path, seed: int) -> tuple[Path, list[Fault]]:
    """A COCO folder with one fault of each kind, an entry a line."""
    scenes = clean(root, seed, len(COCO) + 6)
    random = np.random.RandomState(seed + 3)
    images, annotations, of_image = [], [], {}
    for i, (stem, things) in enumerate(scenes.items()):
        picture(root / "images" / f"{stem}.jpg", random)
        images.append({"id": i, "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT})
        for label, (x1, y1, x2, y2) in things:
            of_image[i] = len(annotations)
            annotations.append({"id": 1000 + len(annotations), "image_id": i, "iscrowd": 0,
                                "category_id": 3 * label + 1, "segmentation": [],
                                "bbox": [x1, y1, x2 - x1, y2 - y1]})  # fmt: skip
    order = random.permutation(len(images)).tolist()
    spoilt: list[tuple[str, str, dict]] = []
    for kind, spoil in COCO.items():
        entry = annotations[of_image[order.pop()]]
        spoil(entry)
        spoilt.append((kind, "annotations", entry))
    again = dict(annotations[of_image[order.pop()]], id=5)
    annotations.append(again)
    orphan = dict(again, id=6, image_id=99_999)
    annotations.append(orphan)
    gone, escape, wide = (images[order.pop()] for _ in range(3))
    (root / "images" / gone["file_name"]).unlink()
    escape["file_name"] = "../secret.jpg"
    wide["height"] = HEIGHT * 2
    twin = dict(images[order.pop()], id=77_777)
    images.append(twin)
    spoilt += [("duplicate", "annotations", again), ("orphan", "annotations", orphan),
               ("no image", "images", gone), ("escape", "images", escape),
               ("size", "images", wide), ("twice", "images", twin)]  # fmt: skip
    cut = root / "images" / images[order.pop()]["file_name"]
    categories = [{"id": 3 * k + 1, "name": name} for k, name in enumerate(CLASSES)]
    entries = {"images": images, "annotations": annotations, "categories": categories}
    file = root / "annotations" / "instances_train.json"
    file.parent.mkdir()
    lines, places = ["{"], {}
    for key, rows in entries.items():
        lines.append(f'"{key}": [')
        for row in rows:
            lines.append(json.dumps(row) + ("," if row is not rows[-1] else ""))
            places[id(row)] = len(lines)
        lines.append("]" + ("," if key != "categories" else ""))
    file.write_text("\n".join([*lines, "}"]))
    return root, [*((kind, file, places[id(row)]) for kind, _, row in spoilt), cut_off(cut)]


def bbox(i: int, value: object) -> Callable[[dict], None]:
    def spoil(entry: dict) -> None:
        entry["bbox"][i] = value

    return spoil


COCO: dict[str, Callable[[dict], object]] = {
    "nan": bbox(1, float("nan")),
    "negative": bbox(0, -5),
    "outside": bbox(2, WIDTH + 50),
    "swapped": bbox(3, -4),
    "zero": bbox(2, 0),
    "word": bbox(0, "left"),
    "other units": lambda entry: entry.update(bbox=[0.1, 0.2, 0.3, 0.25]),
    "class": lambda entry: entry.update(category_id=2),
    "columns": lambda entry: entry["bbox"].pop(),
    "tiny": bbox(3, 0.5),
}
MAKERS = {"voc": voc, "yolo": yolo, "coco": coco}
