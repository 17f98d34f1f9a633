"""Masks beside pictures: class maps, numbered things, a file a thing, and COCO's panoptic form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.core.errors import DataError
from snellen.data.open import open_data, open_path
from snellen.data.sample import VOID

RANDOM = np.random.RandomState(0)
HIGH, WIDE = 10, 14


def pair(root, stem, codes_HW, *, images="images", masks="masks", ending=".png"):
    """A picture and its mask; codes of three axes are colours."""
    for folder in (images, masks):
        (root / folder / stem).parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.randint(0, 256, (*codes_HW.shape[:2], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(root / images / f"{stem}.jpg")
    Image.fromarray(codes_HW).save(root / masks / f"{stem}{ending}")


def codes(*values):
    return RANDOM.choice(values, (HIGH, WIDE)).astype(np.uint8)


def maps_of(source):
    return {source.train.path(i).rsplit("/", 1)[1].split(".")[0]: source.train[i].target.semantic_HW
            for i in range(len(source.train))}  # fmt: skip


LAYOUTS = [
    ("images", "masks", ""), ("JPEGImages", "SegmentationClass", ""), ("images", "labels", ""),
    ("images", "annotations", ""), ("images/train", "masks/train", ""), ("train", "trainannot", ""),
    ("train/images", "train/masks", ""), ("train", "train_masks", "_mask"),
    ("images", "labels", "_L"), ("images/a/b", "masks/a/b", ""),
]  # fmt: skip


@pytest.mark.parametrize(("images", "masks", "ending"), LAYOUTS)
def test_class_maps_are_found_where_they_usually_lie(tmp_path, images, masks, ending):
    wanted = {f"a b {i}": codes(0, 1, 2, 255) for i in range(3)}
    for stem, codes_HW in wanted.items():
        pair(tmp_path, stem, codes_HW, images=images, masks=masks, ending=f"{ending}.png")
    (tmp_path / "classes.txt").write_text("road\nsky\ncar\n")
    source = open_path(tmp_path)
    assert (source.format, source.classes) == ("masks", ("road", "sky", "car"))
    found = maps_of(source)
    assert found.keys() == wanted.keys()
    for stem, map_HW in found.items():
        assert (map_HW.numpy() == wanted[stem]).all()
    assert source.problems == ()


def test_values_without_a_list_name_their_classes(tmp_path):
    codes_HW = codes(3, 40, 255)
    pair(tmp_path, "a", codes_HW)
    source = open_path(tmp_path)
    assert source.classes == ("3", "40")
    wanted = np.where(codes_HW == 255, VOID, codes_HW == 40)
    assert (source.train[0].target.semantic_HW.numpy() == wanted).all()
    assert "3, 40 are classes; 255 is none" in str(source.problems[0])


@pytest.mark.parametrize("high", [1, 255, 128])
def test_two_values_are_ground_and_object(tmp_path, high):
    codes_HW = codes(0, high)
    pair(tmp_path, "a", codes_HW)
    source = open_path(tmp_path)
    assert source.classes == ("background", "object")
    assert (source.train[0].target.semantic_HW.numpy() == (codes_HW == high)).all()


@pytest.mark.parametrize("kind", ["palette", "gray as colour", "1 bit"])
def test_indices_and_gray_in_other_modes_are_the_same(tmp_path, kind):
    codes_HW = codes(0, 1)
    image = Image.fromarray(codes_HW)
    if kind == "palette":
        image = image.convert("P")
        image.putpalette([9, 9, 9, 200, 0, 0] + [0] * 762)
        image.putdata(codes_HW.ravel().tolist())
    elif kind == "gray as colour":
        image = image.convert("RGB")
    else:
        image = Image.fromarray(codes_HW.astype(bool))
    pair(tmp_path, "a", codes_HW)
    image.save(tmp_path / "masks" / "a.png")
    map_HW = open_path(tmp_path).train[0].target.semantic_HW
    assert (map_HW.numpy() == codes_HW).all()


@pytest.mark.parametrize(
    ("file", "text"),
    [("class_dict.csv", "name,r,g,b\nroad,128,64,128\nsky,0,0,255\nVoid,0,0,0\n"),
     ("labelmap.txt", "# label:color_rgb:parts:actions\nroad:128,64,128::\nsky:0,0,255::\n"
                      "void:0,0,0::\n"),
     ("label_colors.txt", "128 64 128\troad\n0 0 255\tsky\n0 0 0\tvoid\n")],
)  # fmt: skip
def test_colours_have_the_names_of_their_list(tmp_path, file, text):
    colours = np.array([[128, 64, 128], [0, 0, 255], [0, 0, 0]], np.uint8)
    codes_HW = codes(0, 1, 2)
    pair(tmp_path, "a", colours[codes_HW])
    (tmp_path / file).write_text(text)
    source = open_path(tmp_path)
    assert source.classes == ("road", "sky")
    wanted = np.where(codes_HW == 2, VOID, codes_HW)
    assert (source.train[0].target.semantic_HW.numpy() == wanted).all()


FAULTS = {
    "size": ("mask-size-wrong", "is 5 x 5 and its picture 14 x 10"),
    "value": ("label-unknown-class", "holds 9, none of the 2 classes, first at x 3, y 2"),
    "jpeg": ("mask-broken", "is a JPEG"),
    "cut": ("label-unreadable", "cannot be read"),
    "empty": ("label-unreadable", "is not a picture"),
    "no mask": ("label-missing", "has no mask"),
    "no picture": ("file-missing", "is a mask of no picture"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_names_its_file_and_leaves_the_rest(tmp_path, fault):
    for stem in ("a", "b", "bad"):
        pair(tmp_path, stem, codes(0, 1))
    (tmp_path / "classes.txt").write_text("x\ny\n")
    bad = tmp_path / "masks" / "bad.png"
    if fault == "size":
        Image.new("L", (5, 5)).save(bad)
    elif fault == "value":
        codes_HW = codes(0, 1)
        codes_HW[2, 3] = 9
        Image.fromarray(codes_HW).save(bad)
    elif fault == "jpeg":
        bad.unlink()
        bad = bad.with_suffix(".jpg")
        Image.new("L", (WIDE, HIGH)).save(bad)
    elif fault in ("cut", "empty"):
        bad.write_bytes(bad.read_bytes()[:50] if fault == "cut" else b"")
    elif fault == "no mask":
        bad.unlink()
        bad = tmp_path / "images" / "bad.jpg"
    else:
        (tmp_path / "images" / "bad.jpg").unlink()
    source = open_path(tmp_path)
    (problem,) = source.problems
    id, words = FAULTS[fault]
    assert (problem.id, problem.file) == (id, str(bad))
    assert words in problem.message
    assert sorted(maps_of(source)) == ["a", "b"]


def test_a_photograph_is_no_class_map(tmp_path):
    pair(tmp_path, "a", RANDOM.randint(0, 256, (40, 40, 3)).astype(np.uint8))
    with pytest.raises(DataError, match="more than 254 values"):
        open_path(tmp_path)


# things one by one


def numbers(count):
    map_HW = np.zeros((HIGH, WIDE), np.uint16)
    for k in range(count):
        map_HW[1 + k : 4 + k, 3 * k : 3 * k + 2] = k + 1
    return map_HW


@pytest.mark.parametrize("layout", ["16 bit", "instances", "folder each", "stage1"])
def test_things_by_number_and_by_file(tmp_path, layout):
    for i, count in enumerate((3, 0, 4)):
        map_HW = numbers(count)
        masks = [map_HW == k + 1 for k in range(count)] or [map_HW > 0]
        if layout == "16 bit":
            pair(tmp_path, str(i), map_HW)
        elif layout == "instances":
            pair(tmp_path, str(i), map_HW.astype(np.uint8), masks="instances")
        else:
            root, base = (tmp_path, f"masks/{i}") if layout == "folder each" else (
                tmp_path / str(i), "masks")  # fmt: skip
            for k, mask_HW in enumerate(masks):
                (root / base).mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.uint8(255 * mask_HW)).save(root / base / f"{k}.png")
            (root / "images").mkdir(exist_ok=True)
            Image.new("RGB", (WIDE, HIGH)).save(root / "images" / f"{i}.png")
    source = open_path(tmp_path)
    assert (source.format, source.classes, source.problems) == ("instances", ("object",), ())
    for i, count in enumerate((3, 0, 4)):
        target, map_HW = source.train[i].target, numbers(count)
        assert target.masks_NHW.shape == (count, HIGH, WIDE)
        for k in range(count):
            assert (target.masks_NHW[k].numpy() == (map_HW == k + 1)).all()
            box = [3 * k, 1 + k, 3 * k + 2, 4 + k]
            assert target.boxes_N4[k].tolist() == box
    painted = open_data(tmp_path, split=0, task="segment")
    assert painted.classes == ("background", "object")
    assert (painted.train[2].target.semantic_HW.numpy() == (numbers(4) > 0)).all()


def test_nuclei_are_counted_as_they_were(shared_data):
    source = open_path(shared_data / "nuclei")
    told = json.loads((shared_data / "nuclei" / "sources.json").read_text())
    assert source.format == "instances"
    for i in range(0, 200, 20):
        assert len(source.train[i].target.labels) == told[f"train/{i:03}.png"]["nuclei"]


# panoptic


def test_panoptic_numbers_are_read_as_their_authors_do(shared_data):
    document = json.loads((shared_data / "coco_cc" / "seg" / "panoptic.json").read_text())
    source = open_path(shared_data / "coco_cc" / "seg" / "panoptic.json")
    kinds = {c["id"]: c for c in document["categories"]}
    by_name = {entry["file_name"][:-4]: entry["segments_info"] for entry in document["annotations"]}
    for i in range(0, len(source.train), 6):
        target = source.train[i].target
        said = by_name[source.train.path(i).rsplit("/", 1)[1][:-4]]
        for segment in said:
            label = source.classes.index(kinds[segment["category_id"]]["name"])
            same = [s for s in said if s["category_id"] == segment["category_id"]]
            if not any(s["iscrowd"] for s in same):
                area = int((target.semantic_HW == label).sum())
                assert area == sum(s["area"] for s in same)
        things = [s for s in said if kinds[s["category_id"]]["isthing"]]
        boxes = torch.tensor([s["bbox"] for s in things]).float().reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        assert torch.equal(target.boxes_N4, boxes)


def test_a_task_of_maps_sees_what_lies_beside_the_boxes(shared_data):
    semantic = open_data(shared_data / "coco_cc" / "seg", split=0, task="segment")
    panoptic = open_path(shared_data / "coco_cc" / "seg" / "panoptic.json")
    for i in (0, 9, 20):
        ours, theirs = semantic.train[i].target.semantic_HW, panoptic.train[i].target.semantic_HW
        assert (ours == VOID).equal(theirs == VOID)
        names = {(semantic.classes[a], panoptic.classes[b]) for a, b in zip(
            ours[ours != VOID].tolist(), theirs[ours != VOID].tolist(), strict=True)}  # fmt: skip
        assert all(a == b or a.split("-")[0] == b.split("-")[0] for a, b in names)
