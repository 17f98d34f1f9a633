"""VOC folders whose pictures have masks: what is drawn comes back as class maps and as things."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.convert import convert
from snellen.data.formats._voc_masks import TWENTY
from snellen.data.formats._voc_things import colour
from snellen.data.open import open_data

PALETTE = [v for k in range(256) for v in colour(k)]
SIZE = (24, 32)  # H, W
THINGS = {  # picture -> class, box x1 y1 x2 y2, difficult
    "a": [("dog", (2, 3, 12, 15), 0), ("person", (16, 4, 30, 20), 0)],
    "b": [("person", (5, 5, 20, 18), 1)],
    "c": [("dog", (1, 1, 9, 9), 0), ("dog", (9, 1, 20, 12), 0)],  # they touch
    "d": [("person", (4, 4, 10, 10), 0)],  # without masks
}


def voc(root, *, coloured=False, objects=True, classes=True, lists=True, names=None):
    for folder in ("Annotations", "JPEGImages", "SegmentationClass", "SegmentationObject"):
        (root / folder).mkdir(parents=True)
    for stem, found in THINGS.items():
        Image.effect_noise(SIZE[::-1], 60).convert("RGB").save(root / "JPEGImages" / f"{stem}.png")
        lines = ["<annotation>"]
        maps = np.zeros((2, *SIZE), np.uint8)  # of classes, of things
        for k, (name, (x1, y1, x2, y2), hard) in enumerate(found, 1):
            lines.append(
                f"<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{x1 + 1}"
                f"</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            )
            number = (names or TWENTY).index(name) + (0 if names else 1)
            for here, value in zip(maps, (number, k), strict=True):
                here[y1:y2, x1:x2] = value
                here[y1, x1:x2] = 255  # a rim that belongs to nothing
        (root / "Annotations" / f"{stem}.xml").write_text("\n".join([*lines, "</annotation>"]))
        for folder, codes, is_there in zip(
            ("SegmentationClass", "SegmentationObject"), maps, (classes, objects), strict=True
        ):
            if stem != "d" and is_there:
                image = Image.fromarray(codes).convert("P")
                image.putpalette(PALETTE)
                image.putdata(codes.ravel().tolist())
                (image.convert("RGB") if coloured else image).save(root / folder / f"{stem}.png")
    if names:
        (root / "labels.txt").write_text("\n".join(names))
    if lists:
        (root / "ImageSets" / "Segmentation").mkdir(parents=True)
        (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nb\n")
        (root / "ImageSets" / "Segmentation" / "val.txt").write_text("c\n")
    return root


@pytest.mark.parametrize("coloured", [False, True])
def test_class_maps_have_vocs_numbers_and_no_rim(tmp_path, coloured):
    source = open_data(voc(tmp_path / "v", coloured=coloured), task="segment")
    assert source.classes == ("background", *TWENTY)
    assert (len(source.train), len(source.val)) == (2, 1)
    (map_HW,) = (s.target.semantic_HW for s in source.train if s.path.endswith("a.png"))
    person, dog = (1 + TWENTY.index(name) for name in ("person", "dog"))
    assert (map_HW[5:15, 2:12] == dog).all()
    assert (map_HW[5:20, 16:30] == person).all()
    assert (map_HW[3, 2:12] == 255).all()
    assert set(map_HW.unique().tolist()) == {0, dog, person, 255}


@pytest.mark.parametrize(("coloured", "classes"), [(False, True), (True, True), (False, False)])
def test_things_have_masks_and_the_classes_of_the_map_or_of_their_boxes(
    tmp_path, coloured, classes
):
    root = voc(tmp_path / "v", coloured=coloured, classes=classes)
    source = open_data(root, task="instances")
    assert (len(source.train), len(source.val)) == (2, 1)
    for part in (source.train, source.val):
        for sample in part:
            truth = THINGS[sample.path[-5]]
            target = sample.target
            assert [source.classes[k] for k in target.labels] == [name for name, _, _ in truth]
            for mask_HW, box, (_, (x1, y1, x2, y2), _) in zip(
                target.masks_NHW, target.boxes_N4, truth, strict=True
            ):
                wanted = torch.zeros(SIZE, dtype=torch.bool)
                wanted[y1 + 1 : y2, x1:x2] = True
                assert mask_HW.equal(wanted)
                assert box.tolist() == [x1, y1 + 1, x2, y2]
            hard = [bool(h) for _, _, h in truth]
            ignored = [False] * len(hard) if target.ignored_N is None else target.ignored_N.tolist()
            assert ignored == hard
    assert any("1 pictures with boxes have no mask" in p.message for p in source.problems)


def test_a_list_of_ones_own_names_the_numbers(tmp_path):
    names = ["_background_", "person", "dog"]
    root = voc(tmp_path / "v", names=names)
    assert open_data(root, task="segment").classes == tuple(names)
    things = open_data(root, task="instances")
    assert things.classes == ("person", "dog")
    assert {things.classes[k] for s in things.train for k in s.target.labels} == {"person", "dog"}


def test_boxes_are_seen_as_ever_and_masks_without_a_list_are_dealt_as_they_are(tmp_path):
    root = voc(tmp_path / "v", lists=False)
    assert len(open_data(root, task="detect", split=0.0).train) == 4
    assert len(open_data(root, task="instances", split=0.0).train) == 3


def empty(file):
    file.write_bytes(b"xx")


def small(file):
    Image.new("P", (5, 5)).save(file)


def cut_off(file):
    whole = file.read_bytes()
    file.write_bytes(whole[: -len(whole) // 12])  # in the pixels: the palette takes up most of it


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (empty, "cannot be read"),
        (small, "is 5 x 5 and its picture 32 x 24"),
        (cut_off, "runcated"),
    ],
)
@pytest.mark.parametrize("folder", ["SegmentationObject", "SegmentationClass"])
def test_a_broken_mask_is_named_when_it_is_opened_and_trains_nothing(tmp_path, folder, spoil, said):
    root = voc(tmp_path / "v")
    spoil(root / folder / "a.png")
    tasks = {"SegmentationObject": ["instances"], "SegmentationClass": ["instances", "segment"]}
    for task in tasks[folder]:
        source = open_data(root, task=task)
        (problem,) = [p for p in source.problems if p.harm == "harmful"]
        assert problem.file == str(root / folder / "a.png")
        assert said in problem.message
        assert [sample.path[-5] for sample in source.train] == ["b"]


def test_a_class_map_with_a_strange_number_is_named_and_its_picture_left_out(tmp_path):
    root = voc(tmp_path / "v")
    file = root / "SegmentationClass" / "a.png"
    Image.fromarray(np.full(SIZE, 99, np.uint8)).save(file)
    source = open_data(root, task="instances")
    (problem,) = [p for p in source.problems if p.harm == "harmful"]
    assert f"{file} cannot be used: 768 pixels are 99" in problem.message
    assert len(list(source.train)) == 1


def test_things_without_a_class_and_masks_without_a_picture_are_counted(tmp_path):
    """A thing in no class map and near no box; a picture of such things alone is not empty."""
    root = voc(tmp_path / "v", classes=False)
    for stem, ground in (("a", slice(0, 0)), ("c", slice(None))):
        file = root / "SegmentationObject" / f"{stem}.png"
        with Image.open(file) as image:
            codes = np.array(image)
        codes[ground] = 0
        codes[20:22, 2:8] = 9
        Image.fromarray(codes).save(file)
    small(root / "SegmentationObject" / "orphan.png")
    source = open_data(root, task="instances")
    said = {p.file.rpartition("/")[2]: p.message for p in source.problems if p.harm == "harmful"}
    assert said == {
        "a.png": "1 of its 3 things have no class; they are left out",
        "c.png": "1 of its 1 things have no class; its picture is left out",
        "orphan.png": "is a mask of no picture; it is not read",
    }
    parts = [part for part in (source.train, source.val) if part]
    assert {s.path[-5]: len(s.target.labels) for p in parts for s in p} == {"a": 2, "b": 1}


def test_masks_of_a_turned_photograph_are_as_it_is_shown(tmp_path):
    root = voc(tmp_path / "v")
    with Image.open(root / "JPEGImages" / "a.png") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(root / "JPEGImages" / "a.jpg", exif=exif)
    (root / "JPEGImages" / "a.png").unlink()
    source = open_data(root, task="instances")
    sizes = {Path(s.path).stem: (s.size, tuple(s.target.masks_NHW.shape[1:])) for s in source.train}
    assert sizes == dict.fromkeys("ab", (SIZE, SIZE))


def test_what_boxes_leave_behind_is_counted_and_things_keep_their_masks(tmp_path):
    root = voc(tmp_path / "v")
    said = convert(open_data(root, split=0.0), "coco", tmp_path / "boxes")
    assert any("left out: masks of things of 3 pictures" in line for line in said)
    assert any("left out: class maps of 3 pictures" in line for line in said)
    things = open_data(root, task="instances")
    convert(things, "coco", tmp_path / "things")
    back = open_data(tmp_path / "things", task="instances")
    for one, other in zip(things.train, back.train, strict=True):
        assert one.target.masks_NHW.equal(other.target.masks_NHW)


def test_colours_are_those_of_the_development_kit():
    assert [colour(k) for k in (0, 1, 2, 7, 8, 20)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 128), (64, 0, 0), (0, 64, 128),
    ]  # fmt: skip
