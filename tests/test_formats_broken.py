"""Data sets whose file of labels is broken are named by it, and not taken for something else."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from snellen.cli.check import command as check
from snellen.core.errors import DataError
from snellen.data.audit import audit
from snellen.data.formats.coco import Coco
from snellen.data.formats.instances import Instances
from snellen.data.formats.masks import Masks
from snellen.data.formats.yolo import Yolo
from snellen.data.open import open_data, open_path
from snellen.tasks.detect import Detect


@pytest.fixture
def yolo(tmp_path):
    folder = Yolo().example(tmp_path)
    for file in (folder / "labels").rglob("*.txt"):
        file.write_text("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n2 .5 .5 .2 .2\n")
    return folder


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "words"), [("names: [a, b", "line 1 is no YAML: expected ','"), ("", "holds no names")]
)
def test_a_broken_yaml_is_named(yolo, text, words):
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=f"data.yaml.*{words}"):
        open_path(yolo)


def test_a_yaml_without_train_still_names_the_classes(yolo):
    (yolo / "data.yaml").write_text("names: [a, b, c]")
    assert open_path(yolo).classes == ("a", "b", "c")


def test_class_numbers_in_quotes_are_numbers(yolo):
    (yolo / "data.yaml").write_text("train: images/train\nnames: {'0': disc, '1': box, '2': star}")
    assert open_path(yolo).classes == ("disc", "box", "star")
    (yolo / "data.yaml").write_text("train: images/train\nnames: {'0': disc, one: box}")
    with pytest.raises(DataError, match="names has the key 'one'"):
        open_path(yolo)


def test_a_class_that_the_names_leave_out_is_dropped_and_said(yolo):
    (yolo / "data.yaml").write_text("train: images/train\nnames: {0: disc, 2: star}")
    source = open_path(yolo)
    assert source.classes == ("disc", "star")
    assert {tuple(source.train.target(i).labels.tolist()) for i in range(len(source.train))} == {
        (0, 1)
    }
    said = [p for p in source.problems if p.id == "label-out-of-range"]
    assert len(said) == len(source.train)
    assert "class 1 is none of 0, 2; the line is dropped" in said[0].message


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 20_000])
def test_a_json_that_says_nothing_is_named(pictures, text):
    (pictures / "annotations").mkdir()
    (pictures / "annotations" / "boxes.json").write_text(text)
    with pytest.raises(DataError, match=r"boxes\.json"):
        open_path(pictures)


@pytest.mark.parametrize("has_folder", [True, False])
def test_pictures_without_masks_are_said_to_have_no_labels(pictures, has_folder):
    if has_folder:
        (pictures / "masks").mkdir()
    with pytest.raises(DataError, match=r"images/ have no labels.*masks/ with a PNG"):
        open_data(pictures, task="segment")
    told = CliRunner().invoke(check, [str(pictures)])
    assert "error label-none" in told.output


def test_one_shallow_mask_among_deep_ones_is_named(tmp_path):
    folder = Instances().example(tmp_path)
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(folder / "masks" / "0.png")
    source = open_path(folder)
    assert source.format == "instances"
    assert [(p.id, p.file) for p in source.problems] == [
        ("mask-values", str(folder / "masks" / "0.png"))
    ]


def test_class_maps_of_16_bit_are_told_to_be_saved_as_8(tmp_path):
    folder = Instances().example(tmp_path)
    (folder / "classes.txt").write_text("ground\nthing\n")
    with pytest.raises(DataError, match="8-bit PNGs"):
        open_path(folder)


def test_labels_without_a_box_are_nothing_to_learn(yolo):
    for file in (yolo / "labels").rglob("*.txt"):
        file.write_text("")
    with pytest.raises(DataError, match="not one box is in train"):
        Detect.from_source(open_path(yolo))


def test_a_null_box_is_said_and_its_file_named_once(tmp_path):
    folder = Coco().example(tmp_path)
    (file,) = (folder / "annotations").glob("*.json")
    document = json.loads(file.read_text())
    shape = {"bbox": None, "segmentation": [[1, 1, 6, 1, 6, 5]]}
    first = document["annotations"][0]
    document["annotations"] = [first | shape | {"id": i + 1} for i in range(102)]
    file.write_text(json.dumps(document))
    said = [p for p in open_path(folder).problems if p.id == "label-broken-entry"]
    assert len(said) == 102
    assert "annotation 1 has bbox null; its outline's box is taken" in said[0].message
    (told,) = [p for p in audit(str(folder)) if p.id == "label-broken-entry"]
    assert told.message.endswith(f"({file.name})")


def test_a_detector_is_not_judged_on_data_without_boxes(yolo, tmp_path):
    maps = open_path(Masks().example(tmp_path / "maps"))
    task = Detect.from_source(open_path(yolo))
    with pytest.raises(DataError, match=r"\(masks\) has no boxes"):
        task.aligned(maps.train, maps)


def split(folder, kind):
    """COCO's words for two parts of two pictures each, the same pictures in both."""
    size = {"width": 8, "height": 8}
    images = [{"id": i, "file_name": f"{i}.png", **size} for i in range(2)]
    rows = [{"id": i + 1, "image_id": i, "category_id": 1, "bbox": [1, 1, 5, 5], "caption": "a"}
            for i in range(2)]  # fmt: skip
    document = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "x"}]}
    if kind == "captions":
        del document["categories"]
    (folder / "annotations").mkdir()
    for part in ("train", "val"):
        (folder / "annotations" / f"{kind}_{part}2017.json").write_text(json.dumps(document))


NO_OBJECT = r"2017.json line 1 is no JSON"
BROKEN = [("", NO_OBJECT), ("[1, 2]", NO_OBJECT), ('{"images": [{"id"', NO_OBJECT),
          ('{"images": []}', "2017.json has no list of")]  # fmt: skip


@pytest.mark.parametrize("kind", ["instances", "person_keypoints", "captions"])
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(("text", "words"), BROKEN)
def test_a_json_that_is_broken_beside_a_whole_one_is_named(pictures, kind, part, text, words):
    split(pictures, kind)
    assert open_path(pictures).val is not None
    file = pictures / "annotations" / f"{kind}_{part}2017.json"
    file.write_text(text)
    with pytest.raises(DataError, match=f"{kind}_{part}{words}"):
        open_path(pictures)


def test_a_list_of_test_pictures_is_no_broken_json(pictures):
    split(pictures, "instances")
    (pictures / "annotations" / "instances_test2017.json").write_text('{"images": [],\n "info": 1}')
    assert open_path(pictures).test is None
