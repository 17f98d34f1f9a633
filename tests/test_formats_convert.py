"""From one format to another and back: nothing is lost unsaid, whatever the pictures are called."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from snellen.data.boxes import Thing
from snellen.data.convert import convert
from snellen.data.convert.yolo import polygon_of
from snellen.data.instances import run_lengths
from snellen.data.masks import mask_HW
from snellen.data.open import open_path

NAMES = ("cat", "big dog", "Wärme <&> 'q'", "苹果", "-1", "null", "yes: no", "🙂", "a,b")
STEMS = (
    "a",
    "a b",
    " lead",
    "1",
    "x.y.z",
    "ünï",
    "苹果",
    "it's",
    "50%",
    "a\u2028b",
    "#h",
    "-v",
    "A",
)
FOLDERS = ("", "one/", "two/", "one/deep er/")
coordinate = st.floats(0, 1, allow_nan=False, width=32)


@st.composite
def box(draw, width, height):
    x1, x2 = sorted(draw(st.lists(coordinate, min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(coordinate, min_size=2, max_size=2, unique=True)))
    rounds = draw(st.booleans())
    wanted = [v * s for v, s in zip((x1, y1, x2, y2), (width, height) * 2, strict=True)]
    wanted = [float(round(v)) for v in wanted] if rounds else wanted
    is_large = wanted[2] - wanted[0] > 0.01 and wanted[3] - wanted[1] > 0.01
    in_shares = max(wanted) <= 1  # taken for shares of the picture, and said
    return wanted if is_large and not in_shares else [0.0, 0.0, float(width), float(height)]


@st.composite
def scenes(draw):
    """[(file name, (W, H), [(class, box)])] and the class names."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    files = draw(
        st.lists(
            st.tuples(st.sampled_from(FOLDERS), st.sampled_from(STEMS)),
            min_size=1,
            max_size=5,
            unique_by=lambda f: f"{f[0]}{f[1]}".lower(),
        )
    )
    found = []
    for folder, stem in files:
        size = draw(st.tuples(st.integers(8, 60), st.integers(8, 60)))
        rows = draw(
            st.lists(
                st.tuples(st.integers(0, len(names) - 1), box(*size)),
                max_size=4,
                unique_by=lambda row: (row[0], *(round(v, 2) for v in row[1])),
            )
        )
        found.append((f"{folder}{stem}.png", size, rows))
    return found, names


def write_coco(root, found, names, more=None):
    """Scenes as COCO; `more(k, box)` are further words of an annotation."""
    images, rows = [], []
    for i, (name, size, things) in enumerate(found):
        file = root / "images" / "train" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (i, 2 * i, 9)).save(file)
        images.append({"id": 7 * i, "file_name": name, "width": size[0], "height": size[1]})
        for label, (x1, y1, x2, y2) in things:
            words = more(len(rows), (x1, y1, x2, y2)) if more else {}
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": 7 * i,
                    "category_id": 3 * label + 2,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    **words,
                }
            )
    kinds = [{"id": 3 * k + 2, "name": name} for k, name in enumerate(names)]
    (root / "annotations").mkdir(parents=True)
    document = {"images": images, "annotations": rows, "categories": kinds}
    (root / "annotations" / "instances_train.json").write_text(json.dumps(document))
    return root


def scene_of(source):
    """{first pixel's red: (W, H, [(class, box)])}: each picture has a colour of its own."""
    found = {}
    for i in range(len(source.train)):
        record, image = source.train.record(i), source.train[i].image_CHW
        rows = [(source.classes[t.label], t.box) for t in record.things]
        found[int(image[0, 0, 0])] = (image.shape[2], image.shape[1], rows)
    return found


@settings(max_examples=60, deadline=None, phases=[Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(scenes(), st.sampled_from(["voc", "yolo", "csv"]))
def test_boxes_come_back_from_any_format(tmp_path_factory, scene, format):
    found, names = scene
    root = tmp_path_factory.mktemp("set")
    source = open_path(write_coco(root / "coco", found, names))
    said = convert(source, format, root / "there")
    convert(open_path(root / "there"), "coco", root / "back")
    there, back = open_path(root / "there"), open_path(root / "back")
    assert not [p for p in (*source.problems, *there.problems) if p.harm == "harmful"]
    assert len(back.train) == len(found)
    if format != "csv":  # a table knows no class without a box
        assert there.classes == back.classes == tuple(names)
    one, two = scene_of(source), scene_of(back)
    assert one.keys() == two.keys()
    for key, (width, height, rows) in one.items():
        assert (width, height) == two[key][:2]
        assert [r[0] for r in rows] == [r[0] for r in two[key][2]]
        for a, b in zip(rows, two[key][2], strict=True):
            assert max(abs(u - v) for u, v in zip(a[1], b[1], strict=True)) < 1e-6
    if format == "yolo":  # folders stay, so names do
        assert said == []
        kept = {Path(back.train.path(i)).relative_to(root / "back/images/train").as_posix()
                for i in range(len(back.train))}  # fmt: skip
        tops = {name.split("/")[0] for name, _, _ in found}
        if len(tops) > 1:
            assert kept == {name for name, _, _ in found}


def polygon(k, box):
    x1, y1, x2, y2 = box
    return {"segmentation": [[x1, y1, x2, y1, x2, y2, (x1 + x2) / 2, y2, x1, y2]]}


SCENE = [("a.png", (40, 30), [(0, (3.0, 4.0, 20.5, 21.0)), (1, (0.0, 0.0, 40.0, 30.0))]),
         ("b.png", (32, 24), [(1, (5.0, 6.0, 9.0, 20.0))]), ("c.png", (16, 16), [])]  # fmt: skip


def test_polygons_survive_yolo_and_are_counted_where_they_cannot(tmp_path):
    source = open_path(write_coco(tmp_path / "coco", SCENE, ["x", "y"], polygon))
    assert convert(source, "yolo", tmp_path / "yolo") == []
    convert(open_path(tmp_path / "yolo"), "coco", tmp_path / "back")
    back = open_path(tmp_path / "back")
    assert scene_of(back).keys() == scene_of(source).keys()
    for i in range(3):
        for one, two in zip(
            source.train.record(i).things, back.train.record(i).things, strict=True
        ):
            assert two.outline[0] == pytest.approx(one.outline[0], abs=1e-9)
            assert two.box == pytest.approx(one.box, abs=1e-9)
        assert back.train[i].target.masks_NHW.equal(source.train[i].target.masks_NHW)
    for format in ("voc", "csv"):
        assert convert(source, format, tmp_path / format) == [
            f"left out: 3 outlines, which {format} has no place for"
        ]


def test_several_polygons_keep_their_pixels_in_one(tmp_path):
    def two(k, box):
        x1, y1, x2, y2 = box
        return {"segmentation": [[x1, y1, x1 + 2, y1, x1 + 2, y2, x1, y2],
                                 [x2 - 1.5, y1, x2, y1, x2, y2, x2 - 1.5, y2]]}  # fmt: skip

    source = open_path(write_coco(tmp_path / "coco", SCENE, ["x", "y"], two))
    assert convert(source, "yolo", tmp_path / "yolo") == [
        "left out: 3 outlines, which --to yolo-seg writes, with the boxes of the polygons",
        "--to yolo-seg would change: 3 outlines of several polygons, joined by seams",
    ]
    said = convert(source, "yolo-seg", tmp_path / "seg")
    assert said == ["changed: 3 outlines of several polygons, joined by seams"]
    back = open_path(tmp_path / "seg")
    for i in range(3):
        one, two = source.train[i].target, back.train[i].target
        assert one.masks_NHW.shape == two.masks_NHW.shape
        assert int((one.masks_NHW != two.masks_NHW).sum()) <= 0.02 * max(1, one.masks_NHW.sum())


def test_run_lengths_keep_their_pixels_in_polygons(tmp_path):
    ring = np.zeros((2, 20, 30), bool)  # with a hole, and a part of its own that touches a corner
    ring[0, 2:12, 3:15], ring[0, 5:8, 6:9], ring[0, 12:15, 15:18] = True, False, True
    ring[1, 4:9, 20:29] = True
    runs = [run_lengths(mask_HW) for mask_HW in ring]
    boxes = [(0, (3, 2, 18, 15)), (0, (20, 4, 29, 9))]
    source = open_path(write_coco(tmp_path / "coco", [("a.png", (30, 20), boxes)], ["x"],
                                  lambda k, box: {"segmentation": runs[k]}))  # fmt: skip
    changes = ["1 outlines of several polygons, joined by seams",
               "2 outlines of run lengths, traced to polygons of the same pixels"]  # fmt: skip
    hint = "left out: 2 outlines, which --to yolo-seg writes, with the boxes of the polygons"
    said = [line for line in convert(source, "yolo", tmp_path / "yolo") if "areas" not in line]
    assert said == [hint, *(f"--to yolo-seg would change: {words}" for words in changes)]
    said = [line for line in convert(source, "yolo-seg", tmp_path / "seg") if "areas" not in line]
    assert said == [f"changed: {words}" for words in changes]
    target = open_path(tmp_path / "seg").train[0].target
    assert np.array_equal(target.masks_NHW.numpy(), ring)
    assert target.boxes_N4.tolist() == [list(map(float, box)) for _, box in boxes]


@pytest.mark.parametrize("seed", range(40))
def test_polygons_around_a_mask_give_it_again(seed):
    random = np.random.RandomState(seed)
    height, width = random.randint(1, 24, 2).tolist()
    true_HW = random.rand(height, width) < (0.2, 0.5, 0.9)[seed % 3]
    polygon = polygon_of(Thing(0, (0, 0, 0, 0), outline=run_lengths(true_HW)))
    assert np.array_equal(mask_HW([polygon], (width, height)), true_HW)


def test_key_points_survive_yolo_with_their_skeleton(tmp_path):
    def joints(k, box):
        return {"keypoints": [box[0], box[1], 2, box[2], box[3], 1, 0, 0, 0], "num_keypoints": 2}

    root = write_coco(tmp_path / "coco", SCENE, ["x", "y"], joints)
    file = root / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    document["categories"][0] |= {"keypoints": ["nose", "left_eye", "right_eye"],
                                  "skeleton": [[1, 2], [1, 3]]}  # fmt: skip
    file.write_text(json.dumps(document))
    source = open_path(root)
    assert source.skeleton.bones == ((0, 1), (0, 2))
    assert source.skeleton.mirror == (0, 2, 1)
    assert convert(source, "yolo", tmp_path / "yolo") == [
        "left out: 2 bones of the skeleton, which yolo has no place for"
    ]
    assert convert(source, "voc", tmp_path / "voc") == [
        "left out: 3 skeletons, which voc has no place for",
    ]
    there = open_path(tmp_path / "yolo")
    assert there.skeleton.joints == source.skeleton.joints
    assert there.skeleton.mirror == (0, 2, 1)
    convert(there, "coco", tmp_path / "back")
    for i in range(3):
        one, two = source.train[i].target, open_path(tmp_path / "back").train[i].target
        assert one.keypoints_NK2.shape == two.keypoints_NK2.shape
        assert one.keypoints_NK2.sub(two.keypoints_NK2).abs().sum() < 1e-4
        assert one.visibility_NK.equal(two.visibility_NK)


def test_key_points_of_a_file_of_their_own_come_along(tmp_path):
    folder = tmp_path / "set"
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    Image.new("RGB", (40, 30)).save(folder / "images" / "a.png")
    images = [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}]
    body = {"keypoints": ["left_eye", "right_eye"], "skeleton": [[1, 2]]}
    rows = [{"id": i, "image_id": 7, "category_id": k, "bbox": [3.0 * i, 1, 8, 9], "iscrowd": 0}
            for i, k in ((1, 2), (2, 1), (3, 1))]  # fmt: skip
    kinds = [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"}]
    joints = [{**row, "keypoints": [4, 5, 2, 6, 5, 1]} for row in rows[1:2]]
    joints.append({**joints[0], "id": 9, "bbox": [20, 20, 5, 5]})  # of no instance
    for name, told, known in (
        ("instances", rows, kinds), ("person_keypoints", joints, [{**kinds[0], **body}]),
    ):  # fmt: skip
        document = {"images": images, "annotations": told, "categories": known}
        (folder / "annotations" / f"{name}_train.json").write_text(json.dumps(document))
    said = convert(open_path(folder), "coco", tmp_path / "coco")
    assert said == ["left out: 1 skeletons of no box's id, which lie in files of their own"]
    again = open_path(tmp_path / "coco")
    things = {thing.id: thing.keypoints for thing in again.train.record(0).things}
    assert things == {1: (), 2: (4, 5, 2, 6, 5, 1), 3: ()}
    assert again.skeleton == open_path(folder).of("pose").skeleton
    (file,) = (tmp_path / "coco" / "annotations").iterdir()
    told = {
        kind["name"]: "keypoints" in kind for kind in json.loads(file.read_text())["categories"]
    }
    assert told == {"person": True, "cat": False}
    said = convert(open_path(folder), "csv", tmp_path / "csv")
    assert "left out: 1 skeletons, which csv has no place for" in said


def test_captions_crowds_and_names_that_change_are_said(tmp_path, shared_data):
    said = convert(open_path(shared_data / "coco_cc"), "yolo", tmp_path / "yolo")
    said, hints = said[:6], said[6:]
    assert [line.partition("change: ")[2] for line in hints][:2] == [
        "44 outlines of several polygons, joined by seams",
        "7 outlines of run lengths, traced to polygons of the same pixels",
    ]
    assert said == [
        "left out: 546 outlines, which --to yolo-seg writes, with the boxes of the polygons",
        "left out: 7 marks of crowds, which yolo has no place for",
        "left out: 19 bones of the skeleton, which yolo has no place for",
        "left out: 546 areas that are not their boxes', which yolo has no place for",
        "left out: 80 supercategories, which yolo has no place for",
        "left out: 255 captions, which lie in files of their own",
    ]
    found = [(f"{folder}/a.png", (9, 9), []) for folder in ("one", "two")]
    source = open_path(write_coco(tmp_path / "coco", found, ["x"]))
    assert convert(source, "coco", tmp_path / "again") == []
    (line,) = convert(source, "voc", tmp_path / "voc")
    assert line == "renamed: 1 pictures whose name another one has, a.png is two_a.png"


def test_instance_masks_become_coco_pixel_by_pixel(tmp_path, shared_data):
    from snellen.data.formats.instances import Instances

    for name, root in (("tiny", Instances().example(tmp_path)),):
        source = open_path(root)
        assert convert(source, "coco", tmp_path / f"{name} coco") == []
        back = open_path(tmp_path / f"{name} coco")
        for i in range(len(source.train)):
            one, two = source.train[i].target, back.train[i].target
            assert one.masks_NHW.equal(two.masks_NHW)
            assert one.boxes_N4.equal(two.boxes_N4)


def test_coco_stays_coco_with_its_ids_areas_and_supercategories(tmp_path):
    """And what other formats have no place for is said."""
    root = write_coco(tmp_path / "coco", SCENE, ["x", "y"], lambda k, _: {"area": 10.5 + k})
    file = root / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    for i, thing in enumerate(document["annotations"]):
        thing["id"] = 900 - i
    document["categories"] = [{"id": 9, "name": "x", "supercategory": "letter"},
                              {"id": 4, "name": "y"}]  # fmt: skip
    for thing in document["annotations"]:
        thing["category_id"] = {2: 9, 5: 4}[thing["category_id"]]
    file.write_text(json.dumps(document))
    source = open_path(root)
    assert convert(source, "coco", tmp_path / "there") == []
    there = json.loads((tmp_path / "there/annotations/instances_train.json").read_text())
    for key in ("images", "categories"):
        assert sorted(there[key], key=lambda e: e["id"]) == sorted(
            document[key], key=lambda e: e["id"])  # fmt: skip
    keys = ("id", "image_id", "category_id", "area", "bbox")
    one, two = ([[thing[key] for key in keys] for thing in one["annotations"]]
                for one in (document, there))  # fmt: skip
    assert one == two
    said = " ".join(convert(source, "voc", tmp_path / "voc"))
    assert "3 areas that are not their boxes', which voc has no place for" in said
    assert "1 supercategories, which voc" in said


def test_ids_that_cannot_stay_are_numbered_anew_and_said(tmp_path):
    root = write_coco(tmp_path / "coco", SCENE, ["x", "y"])
    file = root / "annotations" / "instances_train.json"
    document = json.loads(file.read_text())
    document["annotations"][1]["id"] = document["annotations"][0]["id"]
    file.write_text(json.dumps(document))
    said = convert(open_path(root), "coco", tmp_path / "there")
    assert said[-1] == "numbered anew: 3 annotations, some of whose ids are given twice"
    there = json.loads((tmp_path / "there/annotations/instances_train.json").read_text())
    assert [thing["id"] for thing in there["annotations"]] == [1, 2, 3]
    assert [image["id"] for image in there["images"]] == [0, 7, 14]
