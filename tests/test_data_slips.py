"""What a data set as a whole says of a slip: axes that changed places, labels that count from 1,
boxes that are a pixel off; in each format, on square pictures too, and before a training.
"""

import json
import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from snellen.core.errors import DataError
from snellen.data.audit import audit
from snellen.data.boxes import unwound
from snellen.data.open import open_data, open_path
from snellen.data.placing import exchanged_axes, ways_of
from snellen.data.worlds import World, draw_world
from snellen.tasks.detect import Detect
from snellen.train.prepare import prepare
from snellen.train.recipe import Recipe


def coco(root, boxes_of, size=(80, 50), count=20, names=("a", "b", "c"), first=0):
    """Pictures with three boxes each; `boxes_of(box)` is what is written, classes from `first`."""
    random = np.random.RandomState(0)
    (root / "images").mkdir(parents=True)
    images, things = [], []
    for i in range(count):
        pixels = random.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": size[0], "height": size[1]})
        for _ in range(3):
            w, h = random.randint(4, 20, 2).tolist()
            x, y = random.randint(0, size[0] - w), random.randint(0, size[1] - h)
            k = first + len(things) % (len(names) - first)
            things.append({"id": len(things), "image_id": i, "category_id": k,
                           "bbox": boxes_of([x, y, w, h])})  # fmt: skip
    kinds = [{"id": k, "name": name} for k, name in enumerate(names)]
    document = {"images": images, "annotations": things, "categories": kinds}
    (root / "train.json").write_text(json.dumps(document))
    return root


def outline(box):
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def exchanged(box):
    x, y, w, h = box
    return [y, x, h, w]


def enlarged(box):
    """As of pictures of twice the size: outside, and exchanged outside as well."""
    return [2 * v for v in box]


def ids(root):
    return {problem.id for problem in open_path(root).problems}


@pytest.mark.parametrize("size", [(80, 50), (50, 80)])
def test_boxes_with_their_axes_exchanged_are_told(tmp_path, size):
    root = coco(tmp_path / "a", exchanged, size)
    (said,) = [p for p in open_path(root).problems if p.id == "box-axes-exchanged"]
    assert "inside with x and y exchanged: are the axes exchanged?" in said.message
    assert "box-axes-exchanged" not in ids(coco(tmp_path / "b", list, size))


def test_boxes_that_lie_elsewhere_are_not_told_to_be_exchanged(tmp_path):
    assert "box-outside" in ids(coco(tmp_path / "a", enlarged))
    assert "box-axes-exchanged" not in ids(tmp_path / "a")
    square = ids(coco(tmp_path / "b", exchanged, (60, 60)))
    assert "box-axes-exchanged" not in square  # numbers alone cannot tell


@pytest.mark.parametrize(
    ("names", "first", "told"),
    [(("a", "b", "c"), 1, True), (("a", "b", "c"), 0, False), (("Background", "b", "c"), 1, False),
     (("a", "b"), 1, False)],
)  # fmt: skip
def test_labels_that_count_from_one_are_told(tmp_path, names, first, told):
    problems = audit(coco(tmp_path / "set", list, names=names, first=first))
    said = [p.message for p in problems if p.id == "label-off-by-one"]
    assert bool(said) == told
    assert not told or "class 0 (a) has no box in any part and each of the other 2" in said[0]


SIZES = {"square": (96, 96), "wide": (96, 128)}  # H, W
CLASSES = ("a", "b", "c", "d", "e", "f")


def as_is(box, size):
    return box


def turned(box, size):
    x1, y1, x2, y2 = box
    return (y1, x1, y2, x2)


def right(box, size):
    return tuple(v + 1 for v in (box[0], box[1], box[2], box[3]))


def write_coco(root, rows):
    images, things = [], []
    for i, (name, (height, width), found) in enumerate(rows):
        images.append({"id": i, "file_name": name, "width": width, "height": height})
        for label, (x1, y1, x2, y2) in found:
            things.append({"id": len(things), "image_id": i, "category_id": label,
                           "bbox": [x1, y1, x2 - x1, y2 - y1]})  # fmt: skip
    kinds = [{"id": k, "name": name} for k, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": things, "categories": kinds}
    (root / "train.json").write_text(json.dumps(document))


def write_voc(root, rows):
    (root / "Annotations").mkdir()
    (root / "labels.txt").write_text("\n".join(CLASSES))
    for name, (height, width), found in rows:
        lines = [f"<annotation><size><width>{width}</width><height>{height}</height></size>"]
        for label, (x1, y1, x2, y2) in found:
            corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
            words = "".join(f"<{side}>{int(v)}</{side}>" for side, v in corners.items())
            name_of = f"<name>{CLASSES[label]}</name>"
            lines.append(f"<object>{name_of}<bndbox>{words}</bndbox></object>")
        file = root / "Annotations" / name.replace(".png", ".xml")
        file.write_text("\n".join([*lines, "</annotation>"]))


def write_yolo(root, rows):
    (root / "labels").mkdir()
    (root / "data.yaml").write_text(f"train: images\nnames: [{', '.join(CLASSES)}]\n")
    for name, (height, width), found in rows:
        lines = [f"{label} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} "
                 f"{(x2 - x1) / width} {(y2 - y1) / height}\n"
                 for label, (x1, y1, x2, y2) in found]  # fmt: skip
        (root / "labels" / name.replace(".png", ".txt")).write_text("".join(lines))


WRITERS = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Of each size scenes, and a folder of their pictures."""
    found = {}
    for name, (height, width) in SIZES.items():
        folder = tmp_path_factory.mktemp(name)
        world = World(height, width, 4, 6, hidden=0.1, noise=6.0, empty=0.0, largest=0.16)
        scenes = [draw_world(4, i, world) for i in range(60)]
        for i, scene in enumerate(scenes):
            Image.fromarray(scene.pixels_HWC).save(folder / f"{i}.png")
        found[name] = scenes, folder
    return found


def folder_of(root, scenes_and_pictures, form, change=as_is, first=0):
    """Drawn worlds as a user's folder; every box goes through `change`."""
    scenes, pictures = scenes_and_pictures
    shutil.copytree(pictures, root / "images", copy_function=os.link)
    rows = [(f"{i}.png", scene.pixels_HWC.shape[:2],
             [(max(first, t.label), change(t.box, scene.pixels_HWC.shape[:2]))
              for t in scene.things]) for i, scene in enumerate(scenes)]  # fmt: skip
    WRITERS[form](root, rows)
    return root


def said_before_training(root):
    source = open_path(root)
    return {problem.id for problem in Detect.adapt(source).problems if problem.harm != "harmless"}


SLIPS = {"box-axes-exchanged", "box-shifted", "label-off-by-one"}


@pytest.mark.parametrize(
    ("form", "size"),
    [("coco", "square"), ("voc", "square"), ("yolo", "square"), ("voc", "wide"), ("yolo", "wide")],
)
def test_each_slip_is_said_before_a_training_and_none_of_clean_data(tmp_path, drawn, form, size):
    drawn = drawn[size]
    clean = folder_of(tmp_path / "clean", drawn, form)
    assert not said_before_training(clean) & SLIPS
    axes = folder_of(tmp_path / "axes", drawn, form, turned)
    assert said_before_training(axes) & SLIPS == {"box-axes-exchanged"}
    off = folder_of(tmp_path / "off", drawn, form, right)
    assert said_before_training(off) & SLIPS == {"box-shifted"}
    from_one = folder_of(tmp_path / "one", drawn, form, first=1)
    assert said_before_training(from_one) & SLIPS == {"label-off-by-one"}


def turned_shares(box, size):
    """What YOLO's centre, width and height are with their axes exchanged."""
    (height, width), (x1, y1, x2, y2) = size, box
    by = width / height
    return (y1 * by, x1 / by, y2 * by, x2 / by)


@pytest.mark.parametrize("size", ["square", "wide"])
def test_exchanged_shares_are_told_and_named_by_the_audit_too(tmp_path, drawn, size):
    axes = folder_of(tmp_path / "axes", drawn[size], "yolo", turned_shares)
    assert said_before_training(axes) & SLIPS == {"box-axes-exchanged"}
    assert "box-axes-exchanged" in {p.id for p in audit(axes)}


def test_a_shift_is_said_with_its_way_and_by_the_audit_too(tmp_path, drawn):
    root = folder_of(tmp_path / "a", drawn["wide"], "coco", right)
    (said,) = [p for p in audit(root) if p.id == "box-shifted"]
    assert "begin and end 1 left and 1 up of their boxes" in said.message
    assert said.harm == "suspect"


def test_boxes_that_are_too_large_or_on_noise_are_not_called_shifted(tmp_path, drawn):
    def larger(box, size):
        return (box[0], box[1], box[2] + 1, box[3] + 1)

    def loose(box, size):
        return (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2)

    for name, change in (("larger", larger), ("loose", loose)):
        root = folder_of(tmp_path / name, drawn["square"], "coco", change)
        assert not said_before_training(root) & SLIPS
    noise = coco(tmp_path / "noise", list, (64, 64), 60)
    assert not said_before_training(noise) & SLIPS


@pytest.mark.parametrize("wrong", [range(60), [7]])
def test_pictures_that_were_resized_after_labelling_are_told_with_their_size(
    tmp_path, drawn, wrong
):
    """All, or one of many: what the boxes of the rest say does not change."""
    root = folder_of(tmp_path / "a", drawn["wide"], "coco", right)
    for i in wrong:
        file = root / "images" / f"{i}.png"
        with Image.open(file) as whole:
            half = whole.resize((64, 48))
        file.unlink()  # it is a link
        half.save(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = {p.id: p for p in Detect.adapt(open_path(root)).problems}
    assert f"128 x 96 is said of {wrong[0]}.png, which has 64 x 48" in str(told["label-size-wrong"])
    assert f"of {len(wrong)} of 60 pictures" in told["label-size-wrong"].message
    assert told.keys() & SLIPS == (set() if len(wrong) > 1 else {"box-shifted"})
    named = [p for p in audit(root) if p.id == "label-size-wrong"]
    assert len(named) == len(wrong)  # each once


@pytest.mark.parametrize("task", ["detect", "instances", "localise"])
def test_a_refused_training_names_the_wrong_size_and_no_larger_input(tmp_path, task):
    root = coco(tmp_path / "a", enlarged, (64, 64), count=30)
    document = json.loads((root / "train.json").read_text())
    document["images"] = [{**one, "width": 128, "height": 128} for one in document["images"]]
    kept = document["annotations"][:: 3 if task == "localise" else 1]
    if task == "instances":
        kept = [{**one, "segmentation": [outline(one["bbox"])]} for one in kept]
    document["annotations"] = kept
    (root / "train.json").write_text(json.dumps(document))
    recipe = Recipe(data=str(root), task=task, epochs=1)
    with pytest.raises(DataError, match=r"128 x 128 is said of .* which has 64 x 64") as refused:
        prepare(recipe, {}, {}, lambda note: None)
    assert "imgsz" not in str(refused.value)


def test_a_shift_is_told_on_large_pictures_too(tmp_path):
    """Twenty of full HD and more: memory and time are bounded by pictures, not by their pixels."""
    random = np.random.RandomState(0)
    (tmp_path / "images").mkdir()
    rows = []
    for i in range(24):
        pixels = np.full((1080, 1920), 120, np.uint8)
        boxes = []
        for k in range(6):
            x, y = 40 + 300 * k + random.randint(200), random.randint(40, 1000)
            w, h = random.randint(14, 24, 2)
            pixels[y : y + h, x : x + w] = random.choice([60, 200])
            boxes.append((0, (x + 1, y + 1, x + w + 1, y + h + 1)))
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png", compress_level=1)
        rows.append((f"{i}.png", pixels.shape, [(k, tuple(map(int, box))) for k, box in boxes]))
    write_coco(tmp_path, rows)
    assert said_before_training(tmp_path) & SLIPS == {"box-shifted"}


@pytest.mark.parametrize("folder", ["bccd", "coco_cc"])
def test_real_data_are_as_they_are(shared_data, folder):
    assert not said_before_training(shared_data / folder) & SLIPS


def test_real_data_with_exchanged_axes_are_told(shared_data):
    """Square cuts of blood cells, labelled by hand, crowded, and with blurred edges."""
    whole, rows = unwound(open_path(shared_data / "bccd").train)
    pictures = []
    for i in rows[::2]:
        sample = whole[i]
        boxes = sample.target.boxes_N4.numpy()
        boxes = boxes[(boxes[:, 2] <= 480) & (boxes[:, 3] <= 480)]
        if len(boxes):
            gray = sample.image_CHW[:, :480, :480].float().mean(0).numpy()
            pictures.append((gray, boxes[::2]))
    ways = [way for picture in pictures for way in ways_of(*picture)]
    for unit in ("pixels", "shares"):
        assert exchanged_axes([way for one, way in ways if one == unit]) is None
    turned = [way for gray, boxes in pictures for way in ways_of(gray, boxes[:, [1, 0, 3, 2]])]
    assert exchanged_axes([way for one, way in turned if one == "pixels"]) is not None


def test_the_unused_category_above_the_others_is_no_class(tmp_path):
    boxes = [{"id": i, "image_id": i, "category_id": i % 2 + 1, "bbox": [1, 1, 4, 4]}
             for i in range(8)]  # fmt: skip
    kinds = [{"id": 0, "name": "things", "supercategory": "none"},
             {"id": 1, "name": "ball", "supercategory": "things"},
             {"id": 2, "name": "box", "supercategory": "things"}]  # fmt: skip
    pictures = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in range(8)]
    for i in range(8):
        Image.new("RGB", (8, 8), (9 * i, 0, 0)).save(tmp_path / f"{i}.png")
    document = {"images": pictures, "categories": kinds, "annotations": boxes}
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(document))
    source = open_data(tmp_path)
    assert source.classes == ("ball", "box")
    assert [kind["id"] for kind in source.categories] == [1, 2]
    labels = [target.labels.tolist() for part in (source.train, source.val)
              for target in map(part.target, range(len(part)))]  # fmt: skip
    assert sorted(labels) == [[0]] * 4 + [[1]] * 4
    said = [p for p in audit(source) if p.id in ("class-empty", "label-off-by-one")]
    assert [p.message for p in said] == [
        "the category 'things' has no object and is the supercategory of others; it is no class"
    ]
    boxes[0]["category_id"] = 0  # an object of it: a class like any other
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(document))
    assert open_path(tmp_path).classes == ("things", "ball", "box")
