"""Folders called train, validation, test ...: parts of a data set, whatever lies in them."""

import pytest
from PIL import Image

from snellen.core.errors import DataError
from snellen.data.open import open_data, open_path

HEAD = "file_name,label\n"


def pictures(folder, count=4):
    """0.png, 1.png ... in a new folder."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (12, 8), (40 * i, 0, 0)).save(folder / f"{i}.png")
    return folder


def table(folder, rows, head=HEAD):
    """metadata.csv beside the pictures."""
    (folder / "metadata.csv").write_text(head + "\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("word", "part"), [("validation", "val"), ("dev", "val"), ("test", "test")]
)
def test_a_metadata_csv_in_each_part_tells_its_labels(tmp_path, word, part):
    for name in ("train", word):
        rows = [f"{i}.png,{('few', 'many')[i % 2]}" for i in range(4)]
        table(pictures(tmp_path / name), rows)
    source = open_path(tmp_path)
    assert (source.format, source.classes, source.problems) == ("csv", ("few", "many"), ())
    other = getattr(source, part)
    assert source.train.labels().tolist() == other.labels().tolist() == [0, 1, 0, 1]
    assert other.path(2) == str(tmp_path / word / "2.png")


def test_boxes_of_a_metadata_csv_in_each_part_are_read(tmp_path):
    head = "file_name,xmin,ymin,xmax,ymax,label\n"
    for name in ("train", "test"):
        table(pictures(tmp_path / name), ["0.png,1,2,5,6,ball", "1.png,,,,,"], head)
    source = open_path(tmp_path)
    assert source.test.target(0).boxes_N4.tolist() == [[1, 2, 5, 6]]
    assert (len(source.train), len(source.test), source.classes) == (2, 2, ("ball",))


def test_a_table_of_test_alone_is_refused_in_words(tmp_path):
    table(pictures(tmp_path / "test"), ["0.png,a", "1.png,b"])
    with pytest.raises(DataError, match="has tables for test but none for train"):
        open_path(tmp_path)


def test_plain_parts_are_no_classes(tmp_path):
    for name, count in (("train", 4), ("val", 3)):
        pictures(tmp_path / name, count)
    source = open_path(tmp_path)
    assert (source.classes, len(source.train), len(source.val)) == ((), 4, 3)
    assert source.train.labels() is None
    wanted = r"train/ and val/ have no labels that are known; .*metadata.csv"
    with pytest.raises(DataError, match=wanted):
        open_data(tmp_path)
    with pytest.raises(DataError, match=wanted):
        open_data("digits", val=tmp_path)


def test_among_other_classes_a_class_may_be_called_test(tmp_path):
    for name in ("cats", "test"):
        pictures(tmp_path / name)
    assert open_data(tmp_path).classes == ("cats", "test")


def test_folders_of_classes_go_before_a_table_that_only_one_part_has(tmp_path):
    for name in ("train/cats", "train/dogs", "val/cats", "val/dogs"):
        pictures(tmp_path / name)
    table(tmp_path / "train", ["cats/0.png,a", "dogs/1.png,b"])
    source = open_path(tmp_path)
    assert (source.classes, len(source.train), len(source.val)) == (("cats", "dogs"), 8, 8)


@pytest.mark.parametrize("parts", [["train"], ["train", "val"]])
@pytest.mark.parametrize("head", ["file_name,camera,quality", "file_name,camera"])
def test_folders_of_classes_go_before_tables_that_call_nothing_a_label(tmp_path, parts, head):
    rows = [(f"{name}/{i}.png", f"{i % 2}", f"{i}") for name in ("cats", "dogs") for i in range(4)]
    for part in parts:
        for name in ("cats", "dogs"):
            pictures(tmp_path / part / name)
        table(tmp_path / part, [",".join(row[: len(head.split(","))]) for row in rows], f"{head}\n")
    source = open_path(tmp_path)
    assert (source.format, source.classes) == ("imagefolder", ("cats", "dogs"))
    assert source.train.labels().tolist() == [0] * 4 + [1] * 4
    said = [(p.harm, str(p)) for p in source.problems]
    assert said == [("harmless", f"{tmp_path / part / 'metadata.csv'}: is a table, and the folders "
                     "are read in its place; it is not read") for part in parts]  # fmt: skip


def test_a_table_that_calls_labels_so_goes_before_folders_in_each_part(tmp_path):
    for part in ("train", "val"):
        for name in ("0001", "0002"):
            pictures(tmp_path / part / name)
        table(tmp_path / part, [f"000{i + 1}/{i}.png,{'ab'[i]}" for i in range(2)])
    assert open_path(tmp_path).classes == ("a", "b")


def test_numbers_of_pictures_in_one_folder_beside_their_table_are_read(tmp_path):
    pictures(tmp_path / "train" / "images")
    rows = [f"images/{i}.png,{i * 0.5},{i * 0.3}" for i in range(4)]
    table(tmp_path / "train", rows, "file_name,age,height\n")
    assert open_path(tmp_path).of("regress").values == ("age", "height")


def test_pictures_of_a_part_beside_those_with_classes_are_told(tmp_path):
    for name in ("train/cats", "train/dogs", "test"):
        pictures(tmp_path / name)
    said = [p.message for p in open_path(tmp_path).problems]
    assert said == ["the pictures of test/ lie in no folder of a class; not read"]
