"""COCO, VOC and YOLO: read right by their conventions, written without loss, every fault named."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.core.errors import DataError, UsageError
from snellen.data.audit import audit, screen
from snellen.data.boxes import image_size
from snellen.data.convert import convert
from snellen.data.open import open_data, open_path
from tests.dirty_boxes import CLASSES, HARMLESS, HEIGHT, IDS, MAKERS, WIDTH, clean, picture

BOXES = ("coco", "voc", "yolo")


def said_of(problems, kind, file):
    return [p for p in problems if p.id in IDS[kind].split() and p.file == str(file)]


def things_by_name(source):
    """{part: {file's stem: sorted (class name, box)}} at full precision."""
    found = {}
    for part in ("train", "val", "test"):
        samples = getattr(source, part)
        for i in range(len(samples) if samples else 0):
            rows = [(source.classes[t.label], t.box) for t in samples.record(i).things]
            rows.sort(key=lambda row: (row[0], *(round(v, 4) for v in row[1])))
            found[part, Path(samples.path(i)).stem] = rows
    return found


def largest_difference(a, b):
    assert a.keys() == b.keys()
    most = 0.0
    for key in a:
        assert [row[:1] for row in a[key]] == [row[:1] for row in b[key]]
        for one, two in zip(a[key], b[key], strict=True):
            most = max(most, *(abs(u - v) for u, v in zip(one[1], two[1], strict=True)))
    return most


# conventions: one box by hand in each format


def test_voc_counts_from_one_and_includes_the_last_pixel(tmp_path):
    Image.new("RGB", (10, 8)).save(tmp_path / "a.png")
    box = "<xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>4</ymax>"
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.png</filename><object><name>dot</name>"
        f"<difficult>1</difficult><bndbox>{box}</bndbox></object></annotation>"
    )
    source = open_path(tmp_path)
    target = source.train[0].target
    assert (source.format, source.classes) == ("voc", ("dot",))
    assert target.boxes_N4.tolist() == [[0, 2, 10, 4]]
    assert target.ignored_N.tolist() == [True]


def test_yolo_is_centre_and_size_in_shares(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (10, 8)).save(tmp_path / "images" / "a.png")
    polygon = "1 0.1 0.25 0.5 0.25 0.5 0.75"
    (tmp_path / "labels" / "a.txt").write_text(f"0 0.5 0.25 0.4 0.5\n{polygon}\n")
    target = open_path(tmp_path).train[0].target
    torch.testing.assert_close(target.boxes_N4, torch.tensor([[3.0, 0, 7, 4], [1, 2, 5, 6]]))
    assert target.masks_NHW[0].sum() == 16
    assert not target.masks_NHW[1, :, 6:].any()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools itself
def test_coco_masks_are_those_of_pycocotools(shared_data):
    from pycocotools.coco import COCO

    file = shared_data / "coco_cc" / "annotations" / "instances_val.json"
    oracle = COCO(str(file))
    part = open_path(file).train
    ids = {entry["file_name"]: id for id, entry in oracle.imgs.items()}
    seen = 0
    for i in range(0, len(part), 4):
        target = part[i].target
        anns = oracle.imgToAnns[ids[Path(part.path(i)).name]]
        boxes = torch.tensor([a["bbox"] for a in anns])
        boxes[:, 2:] += boxes[:, :2]
        torch.testing.assert_close(target.boxes_N4, boxes, atol=0.02, rtol=0)
        for mask, ann in zip(target.masks_NHW, anns, strict=True):
            assert (mask.numpy() == oracle.annToMask(ann).astype(bool)).all()
            seen += ann["iscrowd"]
        crowds = target.ignored_N if target.ignored_N is not None else torch.zeros(len(anns))
        assert crowds.bool().tolist() == [bool(a["iscrowd"]) for a in anns]
    names = [c["name"] for c in oracle.dataset["categories"]]
    assert open_path(file).classes == tuple(names)


def test_packed_run_lengths_keypoints_and_broken_outlines(tmp_path):
    from pycocotools import mask as coco_mask

    random = np.random.RandomState(0)
    picture(tmp_path / "a.jpg", random)
    wanted = random.rand(HEIGHT, WIDTH) > 0.6
    packed = coco_mask.encode(np.asfortranarray(wanted.astype(np.uint8)))
    packed["counts"] = packed["counts"].decode()
    flat = np.flatnonzero(np.diff(np.r_[0, wanted.T.ravel(), 0]))
    runs = np.diff(np.r_[0, flat, wanted.size]).tolist()
    plain = {"size": [HEIGHT, WIDTH], "counts": runs}
    bad = {"size": [HEIGHT, WIDTH], "counts": packed["counts"] + "99999"}
    outlines = [packed, plain, bad, {"size": [4, 4], "counts": [16]}, [[1, 2, 3]], "no"]
    annotations = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": [i, 0, 20, 9], "segmentation": outline}
        for i, outline in enumerate(outlines)
    ]
    annotations[0]["keypoints"] = [5, 6, 2, 0, 0, 0]
    annotations[1]["keypoints"] = [5, 6]
    entry = {"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}
    document = {"images": [entry], "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "a.json").write_text(json.dumps({**document, "annotations": annotations}))
    source = open_path(tmp_path / "a.json")
    target = source.train[0].target
    assert (target.masks_NHW[:2].numpy() == wanted).all()
    assert target.keypoints_NK2.shape == (6, 2, 2)
    assert target.visibility_NK.tolist()[0] == [2, 0]
    ids = sorted(p.id for p in source.problems)
    assert ids == ["keypoints-broken", *["mask-broken"] * 4]


# no loss


@pytest.mark.parametrize("first", BOXES)
@pytest.mark.parametrize("second", BOXES)
def test_boxes_survive_any_two_conversions(shared_data, tmp_path, first, second):
    source = open_path(shared_data / "coco_cc")
    convert(source, first, tmp_path / "first")
    convert(open_path(tmp_path / "first"), second, tmp_path / "second")
    again = open_path(tmp_path / "second")
    assert again.format == second
    assert again.classes == source.classes
    assert not [p for p in again.problems if p.harm == "harmful"]
    assert largest_difference(things_by_name(source), things_by_name(again)) < 1e-6
    if "yolo" not in (first, second):
        assert again.facts["ignored"] == source.facts["ignored"]
    name = Path(source.train.path(3)).name
    row = [Path(again.train.path(i)).name for i in range(len(again.train))].index(name)
    assert (again.train[row].image_CHW == source.train[3].image_CHW).all()


def test_whole_pixels_survive_exactly_and_outlines_within_coco(tmp_path, shared_data):
    scenes = clean(tmp_path, 5, 4)
    rows = [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)]
    images, annotations = [], []
    for i, (stem, things) in enumerate(scenes.items()):
        picture(tmp_path / "a" / "images" / f"{stem}.jpg", np.random.RandomState(i))
        images.append({"id": i, "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT})
        things = [*things, (0, [5, 5, 6, 6]), (1, [0, 0, WIDTH, HEIGHT])]
        for label, (x1, y1, x2, y2) in things if i else ():
            annotations.append({"id": len(annotations), "image_id": i, "category_id": label + 1,
                                "bbox": [x1, y1, x2 - x1, y2 - y1]})  # fmt: skip
    (tmp_path / "a" / "annotations").mkdir()
    document = {"images": images, "annotations": annotations, "categories": rows}
    (tmp_path / "a" / "annotations" / "train.json").write_text(json.dumps(document))
    source = open_path(tmp_path / "a")
    assert source.facts["empty"] == 1
    for format in ("coco", "voc"):
        convert(source, format, tmp_path / format)
        assert things_by_name(open_path(tmp_path / format)) == things_by_name(source)
    real = open_path(shared_data / "coco_cc")
    convert(real, "coco", tmp_path / "real")
    again = open_path(tmp_path / "real")
    masks = [part.train[2].target.masks_NHW for part in (real, again)]
    assert (masks[0] == masks[1]).all()


def test_conversion_overwrites_nothing_and_says_what_it_leaves(tmp_path, shared_data):
    root, _ = MAKERS["voc"](tmp_path / "set", 3)
    source = open_path(root)
    before = sorted((p, p.stat().st_size) for p in tmp_path.rglob("*"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("keep")
    for folder, words in (("there", "never overwritten"), ("set/in", "inside the data")):
        with pytest.raises(UsageError, match=words):
            convert(source, "coco", tmp_path / folder)
    left = convert(source, "coco", tmp_path / "new")
    assert any("box-" in p.id and str(p) in "\n".join(left) for p in source.problems)
    assert [b for b in before if not b[0].exists() or b[0].stat().st_size != b[1]] == []
    with pytest.raises(DataError, match="no boxes"):
        convert(open_path("digits"), "voc", tmp_path / "digits")
    lines = convert(open_path(shared_data / "coco_cc"), "yolo", tmp_path / "yolo")
    assert "outlines" in lines[0]


# every fault by file and line


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("format", MAKERS)
def test_planted_faults_are_all_found_and_no_other(tmp_path, format, seed):
    root, faults = MAKERS[format](tmp_path / "set", seed)
    problems = audit(root)
    for kind, file, line in faults:
        said = said_of(problems, kind, file)
        assert said, (kind, file)
        assert line is None or line in [p.line for p in said], (kind, line, said)
        assert (said[0].harm == "harmless") == (kind in HARMLESS), kind
    planted = {(str(file), line) for _, file, line in faults}
    files = {file for file, _ in planted}
    for p in problems:
        assert p.harm == "harmless" or p.file in files
        if format == "coco" and p.harm == "harmful" and p.line:
            assert (p.file, p.line) in planted, p


def test_harmless_oddities_are_read_right(tmp_path):
    root, faults = MAKERS["yolo"](tmp_path / "set", 11)
    truth = clean(tmp_path, 11, len(faults) + 1)
    part = open_path(root).train
    rows = {Path(part.path(i)).stem: i for i in range(len(part))}
    for kind, file, _ in faults:
        if kind in HARMLESS:
            things = truth[file.stem]
            target = part.target(rows[file.stem])
            assert target.labels.tolist() == [label for label, _ in things]
            boxes = torch.tensor([box for _, box in things]).float()
            torch.testing.assert_close(target.boxes_N4, boxes, atol=1e-3, rtol=0)


def test_planted_in_real_cells(shared_data, tmp_path):
    with tarfile.open(shared_data / "dirty_bccd.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    root = tmp_path / "dirty_bccd"
    planted = json.loads((root / "PLANTED.json").read_text())
    (root / "PLANTED.json").unlink()
    problems = audit(root)
    ids = {
        "swapped_corners": "box-swapped", "zero_area": "box-zero-area",
        "box_outside_image": "box-outside", "negative_coord": "box-negative",
        "nan_coord": "box-nonfinite", "class_trailing_blank": "class-name-blanks",
        "class_typo": "label-class-slip", "wrong_size_tag": "label-size-wrong",
        "normalised_coords": "box-normalised", "duplicate_box": "box-duplicate",
        "broken_xml": "label-unreadable", "no_objects": "label-no-objects",
        "missing_annotation": "label-missing", "missing_image": "file-missing",
        "truncated_jpeg": "file-truncated",
    }  # fmt: skip
    for fault in planted:
        (said,) = [p for p in problems if p.file == str(root / fault["file"])]
        assert said.id == ids[fault["kind"]]
    assert len(problems) == len(planted)
    part = open_path(root).train
    rows, _ = screen(part)
    assert [Path(part.path(row)).stem for row in rows] == ["BloodImage_00356"]


def test_clean_real_sets(shared_data):
    known = audit(shared_data / "bccd")
    assert sorted((p.id, Path(p.file).stem, p.line) for p in known) == [
        ("box-zero-area", "BloodImage_00338", 163), ("box-zero-area", "BloodImage_00343", 55),
        ("data-leak-train-val", "BloodImage_00037", None),  # 00038 is the same field of view
    ]  # fmt: skip
    for name in ("coco_cc", "coco_cc/seg"):
        problems = audit(shared_data / name)
        assert not [p for p in problems if p.harm == "harmful"], name
    facts = open_path(shared_data / "coco_cc").facts
    assert (facts["images"], facts["boxes"], facts["ignored"]) == (51, 546, 7)


# hostile and odd


def test_xml_with_entities_is_refused_before_they_grow(tmp_path):
    root, _ = MAKERS["voc"](tmp_path / "set", 1)
    bomb = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))
    secret = '<!ENTITY x SYSTEM "file:///etc/passwd">'
    good = sorted((root / "Annotations").iterdir())[0]
    for i, entity in enumerate((f'<!ENTITY a0 "ha">{bomb}', secret)):
        stem = f"bomb{i}"
        picture(root / "JPEGImages" / f"{stem}.jpg", np.random.RandomState(90 + i))
        text = good.read_text().replace("<size>", "<folder>&x;</folder><size>", 1)
        (root / "Annotations" / f"{stem}.xml").write_text(f"<!DOCTYPE a [{entity}]>\n{text}")
    said = [p for p in open_path(root).problems if "DTD" in p.message]
    assert sorted(Path(p.file).stem for p in said) == ["bomb0", "bomb1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"images": [], "annotations": [], "categories": [', "line 1 is no JSON"),
        ('{"images": [],\n "annotations": [{,}], "categories": []}', "line 2 is no JSON"),
        ('{"images": {}, "annotations": [], "categories": []}', "no list of"),
        ('{"images": [], "annotations": [], "categories": []}', "no picture to train on"),
        ('{"images": [1], "annotations": [[]], "categories": [""]} x', "no JSON"),
        ('{"images": [1], "annotations": [[]], "categories": [""]}', "no picture to train on"),
        ('{"images": %s, "annotations": [], "categories": []}' % ("[" * 100_000), "no JSON"),
    ],
)
def test_broken_json_is_named_by_line(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=words):
        open_path(tmp_path / "a.json")


def test_yaml_paths_stay_inside(tmp_path):
    root, _ = MAKERS["yolo"](tmp_path / "set", 2)
    picture(tmp_path / "outside" / "x.jpg", np.random.RandomState(1))
    names = "names: [apple, pear, plum]\n"
    count = len(open_path(root).train)
    for train in ("../images", "images", "/etc", "../../outside", "nowhere"):
        (root / "data.yaml").write_text(f"train: {train}\nval: ../outside\n{names}")
        source = open_path(root)
        assert len(source.train) == count
        assert source.val is None
        assert "path-missing" in {p.id for p in source.problems}
    (root / "data.yaml").write_text("names: !!python/object/apply:os.system ['ls']\ntrain: images")
    with pytest.raises(DataError, match="line 1 is no YAML"):
        open_path(root)


def test_turned_pictures_are_measured_as_they_are_shown(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "a.jpg", exif=exif)
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    assert image_size(str(tmp_path / "images" / "a.jpg")) == (10, 20)
    assert open_path(tmp_path).train[0].target.boxes_N4.tolist() == [[0, 0, 10, 20]]


def test_an_image_that_lost_all_its_boxes_is_not_called_empty(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for i, text in enumerate(("", "0 0.5 0.5 nan 1\n", "0 0.5 0.5 1 1\n1 0.5 0.5 1 1\n")):
        picture(tmp_path / "images" / f"{i}.jpg", np.random.RandomState(i))
        (tmp_path / "labels" / f"{i}.txt").write_text(text)
    source = open_path(tmp_path)
    assert [Path(source.train.path(i)).stem for i in range(len(source.train))] == ["0", "2"]
    assert {p.id for p in source.problems} == {
        "label-no-objects", "box-nonfinite", "label-none-usable", "box-two-classes",
    }  # fmt: skip


def test_copies_with_other_boxes_and_across_parts(tmp_path):
    root, _ = MAKERS["coco"](tmp_path / "set", 7)
    part = open_path(root).train
    for split in ("a", "b"):
        (tmp_path / "two" / "Annotations").mkdir(parents=True, exist_ok=True)
        (tmp_path / "two" / "JPEGImages").mkdir(exist_ok=True)
        data = Path(part.path(3)).read_bytes()
        (tmp_path / "two" / "JPEGImages" / f"{split}.jpg").write_bytes(data)
        corner = 1 if split == "a" else 9
        (tmp_path / "two" / "Annotations" / f"{split}.xml").write_text(
            "<annotation><object><name>x</name><bndbox>"
            f"<xmin>{corner}</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax>"
            "</bndbox></object></annotation>"
        )
    (problem,) = [p for p in audit(tmp_path / "two") if p.harm == "harmful"]
    assert problem.id == "label-conflict"


# boxes and classification


def test_a_classifier_refuses_boxes_in_words(tmp_path, shared_data):
    import snellen as sn

    root, _ = MAKERS["voc"](tmp_path / "set", 4)
    with pytest.raises(DataError, match="has boxes and no class for a whole image; task=detect"):
        sn.train(str(root), project=str(tmp_path / "runs"))
    with pytest.raises(DataError, match="has boxes where digits has classes"):
        open_data("digits", val=str(root))
    source = open_data(str(root), split=0.25)
    assert source.val is not None
    assert source.val.target(0).boxes_N4 is not None


def test_validation_data_of_another_class_order(tmp_path):
    sets = []
    for name, classes in (("one", "ant bee"), ("two", "bee cow ant")):
        base = tmp_path / name
        (base / "labels").mkdir(parents=True)
        picture(base / "images" / "a.jpg", np.random.RandomState(len(classes)))
        (base / "classes.txt").write_text("\n".join(classes.split()))
        lines = [f"{k} 0.{k + 2} 0.5 0.2 0.2\n" for k in range(len(classes.split()))]
        (base / "labels" / "a.txt").write_text("".join(lines))
        sets.append(str(base))
    source = open_data(sets[0], val=sets[1])
    assert source.val.target(0).labels.tolist() == [1, 0]
    assert source.val[0].target.boxes_N4.shape == (2, 4)
    assert "its 1 boxes are left out" in str(source.problems[-1])


# layouts in the wild


def spread(root, places):
    """Two pictures at each place, with a label file where `labels` says."""
    for k, (images, labels, text) in enumerate(places):
        (root / labels).mkdir(parents=True, exist_ok=True)
        for i in range(2):
            stem = f"{k}_{i}"
            picture(root / images / f"{stem}.jpg", np.random.RandomState(10 * k + i))
            ending = "xml" if text.startswith("<") else "txt"
            (root / labels / f"{stem}.{ending}").write_text(text)


BOX = "<xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax>"
XML = f"<annotation><object><name>x</name><bndbox>{BOX}</bndbox></object></annotation>"
LINE = "0 0.5 0.5 0.2 0.2\n"
LAYOUTS = {
    "voc": [[("VOC2007/JPEGImages", "VOC2007/Annotations", XML)],
            [("train", "train", XML), ("valid", "valid", XML)],
            [("images", "annotations", XML)], [(".", ".", XML)]],
    "yolo": [[("train/images", "train/labels", LINE), ("valid/images", "valid/labels", LINE)],
             [("images/train2017", "labels/train2017", LINE)], [(".", ".", LINE)]],
}  # fmt: skip


@pytest.mark.parametrize(("format", "places"), [(f, p) for f in LAYOUTS for p in LAYOUTS[f]])
@pytest.mark.parametrize("name", ["set", "test_val"])
def test_layouts_in_the_wild(tmp_path, format, places, name):
    root = tmp_path / name
    spread(root, places)
    if places == [(".", ".", LINE)]:
        (root / "classes.txt").write_text("x\n")
    source = open_path(root)
    assert source.format == format
    assert [p for p in source.problems if p.harm == "harmful"] == []
    assert len(source.train) == 2
    assert (source.val is not None) == (len(places) == 2)
    assert source.train[1].target.boxes_N4.shape == (1, 4)


def test_a_damaged_json_is_no_folder_of_classes(tmp_path):
    root, _ = MAKERS["coco"](tmp_path / "set", 1)
    file = root / "annotations" / "instances_train.json"
    file.write_text(file.read_text().replace('"categories"', '"kinds"'))
    with pytest.raises(DataError, match="no list of categories"):
        open_path(root)
