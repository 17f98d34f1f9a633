"""What is wrong with COCO annotations beyond boxes: each fault by line, and the policy."""

import json

import pytest
from PIL import Image

from snellen.data.open import open_path

LINE = 7  # of the annotation that is wrong


def coco(root, wrong, categories=None):
    """Two pictures, a good annotation in line 6 and a wrong one in line 7."""
    (root / "images").mkdir()
    for i in range(2):
        Image.new("RGB", (20, 10), (90 * i, 0, 0)).save(root / "images" / f"{i}.png")
    size = {"width": 20, "height": 10}
    images = [{"id": i, "file_name": f"{i}.png", **size} for i in range(2)]
    good = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5]}
    rows = [good, {**good, "id": 2, "image_id": 1, "bbox": [2, 2, 6, 6], **wrong}]
    document = {"images": images, "annotations": rows,
                "categories": categories or [{"id": 1, "name": "x"}]}  # fmt: skip
    text = ",\n".join(f'"{key}": [\n' + ",\n".join(map(json.dumps, value)) + "\n]"
                      for key, value in document.items())  # fmt: skip
    (root / "train.json").write_text("{" + text + "}")
    return open_path(root)


JOINTS = [{"id": 1, "name": "x", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}]
NAN = float("nan")
FAULTS = [
    ({"image_id": 9}, "label-orphan", "annotation 2 is of image 9", 0),
    ({"category_id": 9}, "label-unknown-class", "category 9", 0),
    ({"bbox": [1, 2, 3]}, "label-columns", "a bbox of 3 numbers", 0),
    ({"bbox": [1, 2, NAN, 3]}, "box-nonfinite", "NaN", 0),
    ({"bbox": [9, 9, -3, 2]}, "box-swapped", "a width or height below 0", 0),
    ({"bbox": [-9, 2, 12, 3]}, "box-negative", "reaches out", 1),
    ({"bbox": [30, 2, 3, 3]}, "box-outside", "lies outside", 0),
    ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "mask-broken", "a polygon of 7 numbers", 1),
    ({"segmentation": [[1, 2, 3, 4, 5, NAN]]}, "mask-broken", "no list of finite", 1),
    ({"segmentation": [[-90, 0, 9, 0, 9, 9]]}, "mask-outside", "ends 90 beyond", 1),
    ({"segmentation": {"size": [10, 20], "counts": [9]}}, "mask-broken", "do not add up", 1),
    ({"segmentation": {"size": [20, 10], "counts": [200]}}, "mask-broken", "for 10 x 20", 1),
    ({"segmentation": {"size": [10, 20], "counts": "abc"}}, "mask-broken", "packed", 1),
    ({"keypoints": [1, 2, 2, 3]}, "keypoints-broken", "no list of x, y, v", 1),
    ({"keypoints": [1, 2, 2]}, "keypoints-broken", "3 numbers of keypoints where 2 joints", 1),
    ({"keypoints": [1, 2, 7, 0, 0, 0]}, "keypoints-broken", "visibility 7", 1),
    ({"iscrowd": 2}, "label-broken-entry", "iscrowd 2", 1),
    ({"area": "nan"}, "label-broken-entry", "has area 'nan'", 1),
    ({"area": NAN}, "label-broken-entry", "has area nan", 1),
    ({"area": -4}, "label-broken-entry", "has area -4", 1),
    ({"id": 1}, "label-id-twice", "in line 6 already", 1),
]


@pytest.mark.parametrize(("wrong", "id", "words", "kept"), FAULTS)
def test_each_fault_is_named_by_its_line(tmp_path, wrong, id, words, kept):
    source = coco(tmp_path, wrong, JOINTS)
    said = [p for p in source.problems if p.id == id]
    assert [(p.file, p.line) for p in said] == [(str(tmp_path / "train.json"), LINE)]
    assert words in said[0].message
    records = {source.train.path(i)[-5:]: source.train.record(i) for i in range(len(source.train))}
    assert len(records["0.png"].things) == 1
    assert len(records["1.png"].things if "1.png" in records else ()) == kept


UPPER, LOWER = [[10, 10, 30, 10, 10, 30]], [[30, 10, 30, 30, 10, 30]]
ONE, OTHER, NOBODY = [12, 12, 2, 20, 20, 2], [28, 12, 2, 20, 20, 1], [0] * 6


@pytest.mark.parametrize(
    ("told", "kept", "harm", "words"),
    [([{"segmentation": UPPER}, {"segmentation": LOWER}], 2, "suspect", "two outlines"),
     ([{"keypoints": ONE}, {"keypoints": OTHER}], 2, "suspect", "two bodies"),
     ([{"segmentation": UPPER}, {"segmentation": UPPER}], 1, "harmful", "repeats that"),
     ([{"keypoints": NOBODY}, {"keypoints": ONE}], 1, "harmful", "repeats that"),
     ([{}, {"segmentation": UPPER}], 1, "harmful", "repeats that"),
     ([{"segmentation": LOWER}, {}], 1, "harmful", "repeats that")],
)  # fmt: skip
def test_things_on_one_box_are_one_where_all_that_is_said_of_them_agrees(
    tmp_path, told, kept, harm, words
):
    """What only the dropped one says goes to the other."""
    Image.new("RGB", (40, 40)).save(tmp_path / "0.png")
    box = {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 200, "iscrowd": 0}
    document = {
        "images": [{"id": 0, "file_name": "0.png", "width": 40, "height": 40}],
        "annotations": [{"id": k, **box, **one} for k, one in enumerate(told)],
        "categories": [{"id": 1, "name": "a", "keypoints": ["l", "r"], "skeleton": [[1, 2]]}],
    }
    (tmp_path / "train.json").write_text(json.dumps(document))
    source = open_path(tmp_path)
    (said,) = [p for p in source.problems if p.id == "box-duplicate"]
    assert (said.harm, words in said.message) == (harm, True)
    things = source.train.records[0].things
    assert len(things) == kept
    for key, there in (("segmentation", "outline"), ("keypoints", "keypoints")):
        given = [one[key] for one in told if any(one.get(key, ()))]
        have = [list(v) for thing in things if any(v := getattr(thing, there) or ())]
        assert have == given[:kept]


def test_a_right_one_is_silent(tmp_path):
    source = coco(tmp_path, {"keypoints": [1, 2, 2, 0, 0, 0], "iscrowd": 0}, JOINTS)
    assert source.problems == ()


def in_one_line(root, part, rows, kinds):
    """A part of one picture, its json in a single line, as most tools write it."""
    (root / part).mkdir()
    Image.new("RGB", (20, 10)).save(root / part / "a.png")
    images = [{"id": 0, "file_name": "a.png", "width": 20, "height": 10}]
    document = {"images": images, "annotations": rows, "categories": kinds}
    (root / part / "labels.json").write_text(json.dumps(document))


def test_an_id_that_is_there_twice_is_named_in_a_json_of_one_line(tmp_path):
    rows = [{"id": i, "image_id": 0, "category_id": 1, "bbox": [k, 1, 5, 5]}
            for k, i in enumerate((4, 4, 5, None, None))]  # fmt: skip
    in_one_line(tmp_path, "train", rows, [{"id": 1, "name": "x"}])
    source = open_path(tmp_path)
    assert [p.message[:15] for p in source.problems if p.id == "label-id-twice"] == [
        "annotation id 4"
    ]
    assert len(source.train.record(0).things) == 5


def test_a_category_id_of_two_names_is_said(tmp_path):
    row = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5]}
    in_one_line(tmp_path, "train", [row], [{"id": 1, "name": "ring"}, {"id": 2, "name": "box"}])
    in_one_line(tmp_path, "val", [row], [{"id": 1, "name": "zebra"}, {"id": 7, "name": "box"}])
    said = [(p.harm, p.message) for p in open_path(tmp_path).problems if p.id == "label-id-twice"]
    assert said == [
        ("harmful", "category id 1 is 'zebra' here and 'ring' in another part; ids go by name")
    ]


def test_names_and_pictures_that_are_there_twice_or_nowhere(tmp_path):
    kinds = [{"id": 1, "name": "x"}, {"id": 4, "name": "x"}]
    Image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    source = coco(tmp_path, {"category_id": 4}, kinds)
    assert source.classes == ("x",)
    assert "categories 1 and 4 are both called 'x'" in source.problems[0].message
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "other.png")
    (alone,) = [p for p in open_path(tmp_path).problems if p.id == "file-not-listed"]
    assert (alone.file, alone.harm) == (str(tmp_path / "images"), "harmless")
    assert "other.png" in alone.message


def test_yolo_points_and_their_mirror(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "a.png")
    good = "0 0.5 0.5 0.4 0.4 0.5 0.5 2 0.25 0.5 1"
    odd = "0 0.5 0.5 0.3 0.3 0.5 0.5 9 0.2 0.5 1"
    lines = [good, "0 0.5 0.5 0.4 0.4 0.5 0.5", "1 0.5 0.5 0.4 0.4", odd]
    (tmp_path / "labels" / "a.txt").write_text("\n".join(lines))
    yaml = "train: images\nnames: {0: x}\nkpt_shape: [2, 3]\n"
    (tmp_path / "data.yaml").write_text(yaml + "flip_idx: [1, 0]\n")
    source = open_path(tmp_path)
    assert source.skeleton.mirror == (1, 0)
    assert source.train[0].target.keypoints_NK2.tolist() == [[[10, 5], [5, 5]], [[0, 0], [0, 0]]]
    assert [(p.id, p.line) for p in source.problems] == [
        ("label-columns", 2), ("label-out-of-range", 3), ("keypoints-broken", 4),
    ]  # fmt: skip
    (tmp_path / "data.yaml").write_text(yaml + "flip_idx: [1, 1]\n")
    assert "skeleton-broken" in {p.id for p in open_path(tmp_path).problems}
