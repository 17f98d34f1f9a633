"""The audit finds what was planted, in real and generated data, and leaves clean data in peace."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from snellen.cli._output import progress
from snellen.cli.check import finding_of, report
from snellen.data.audit import audit, screen
from snellen.data.audit._album import look_through
from snellen.data.audit.duplicates import near_pairs, resaved_pairs
from snellen.data.formats.coco import Coco
from snellen.data.open import open_data

BLANKS = "class-name-blanks"
HARMLESS = {"png_named_jpg", "mode_CMYK", "mode_L", "alpha_png", "sixteen_bit_png",
            "exif_rotated", "stray_file", "class_name_with_blank"}  # fmt: skip
IDS = {
    "class_name_with_blank": "class-name-blanks", "rare_class": "class-imbalance",
    "truncated_jpeg": "file-truncated", "empty_file": "file-empty",
    "text_as_jpg": "file-not-an-image", "png_named_jpg": "file-wrong-extension",
    "mode_CMYK": "file-cmyk", "mode_L": "file-gray", "alpha_png": "file-alpha",
    "sixteen_bit_png": "file-16-bit", "exif_rotated": "file-exif-rotated",
    "odd_size": "image-odd-size", "blank_image": "data-constant-sample",
    "train_val_leak": "data-leak-train-val", "same_image_two_labels": "label-conflict",
    "stray_file": "file-stray", "empty_class": "class-empty",
}  # fmt: skip


def harmful(problems):
    return [p for p in problems if p.harm == "harmful"]


def photo(seed, side=128):
    """A smooth random picture, unlike any other."""
    random = np.random.RandomState(seed)
    small = Image.fromarray(random.randint(0, 256, (6, 6, 3)).astype(np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def folder_of_photos(root, count=12, names=("cat", "dog")):
    for k, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(count):
            photo(1000 * k + i + 10000 * len(root.name)).save(root / name / f"{i}.jpg")
    return root


def test_planted_folder(shared_data, tmp_path):
    with tarfile.open(shared_data / "dirty_digits.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    root = tmp_path / "dirty_digits"
    planted = json.loads((root / "PLANTED.json").read_text())
    (root / "PLANTED.json").unlink()  # the tool under test must not see it
    problems = audit(root)
    for fault in planted:
        if fault["kind"] == "wrong_label":
            continue
        found = [p for p in problems if p.id == IDS[fault["kind"]]]
        for file in fault["files"]:
            said = [p for p in found if str(root / file) in str(p)]
            assert said, (fault["kind"], file)
            assert (said[0].harm == "harmless") == (fault["kind"] in HARMLESS)
    known = {str(root / file) for fault in planted for file in fault["files"]}
    assert all(p.file in known for p in harmful(problems))
    (suspects,) = [p for p in problems if p.id == "label-noise"]
    wrong = [f["files"][0] for f in planted if f["kind"] == "wrong_label"]
    assert sum(file in suspects.message for file in wrong) >= 4


def test_planted_tensors(shared_data):
    planted = json.loads((shared_data / "dirty_tensors" / "PLANTED.json").read_text())
    found: dict[str, set[int]] = {}
    for p in harmful(audit(shared_data / "dirty_tensors")):
        found[p.id] = found.get(p.id, set()) | set(p.samples)
    assert found == {
        "data-nonfinite": {*planted["nan_pixel"], *planted["inf_pixel"]},
        "data-outlier": set(planted["scale_255"]),
        "data-constant-sample": set(planted["constant"]),
        "label-out-of-range": set(planted["label_out_of_range"]),
        "label-conflict": set(planted["duplicate_pair"]),
    }


@pytest.mark.parametrize("name", ["sign_digits", "fashion_mnist/test.npz", "omniglot"])
def test_clean_real_sets_have_no_harm(shared_data, name):
    assert {(p.id, p.harm) for p in audit(shared_data / name)} <= {("label-noise", "harmless")}


def test_digits_are_clean():
    assert {(p.id, p.harm) for p in audit("digits")} <= {("label-noise", "harmless")}


def test_every_way_to_spoil_a_file(tmp_path):
    folder_of_photos(tmp_path / "set")
    cat = tmp_path / "set" / "cat"
    whole = (cat / "0.jpg").read_bytes()
    spoilt = {
        "file-empty": b"",
        "file-zeros": bytes(900),
        "file-not-an-image": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
        "file-truncated": whole[: len(whole) // 2],
    }
    for i, (_, data) in enumerate(spoilt.items()):
        (cat / f"{i}.jpg").write_bytes(data)
    zeros = whole[: len(whole) * 2 // 3]
    (cat / "4.jpg").write_bytes(zeros + bytes(len(whole) - len(zeros)))
    (cat / "5.jpg").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    problems = audit(tmp_path / "set")
    by_file = {p.file: p for p in harmful(problems)}
    for i, id in enumerate([*spoilt, "file-truncated", "file-not-an-image"]):
        assert by_file[str(cat / f"{i}.jpg")].id == id
    assert len(by_file) == 6
    assert "git lfs pull" in by_file[str(cat / "5.jpg")].message
    source = open_data(tmp_path / "set", split=0)
    rows, said = screen(source.train)
    assert {source.train.path(row) for row in rows} == set(by_file)
    assert len(said) == 6


@pytest.mark.parametrize("way", ["quality", "size", "brightness", "format"])
def test_near_copies_across_train_and_val_are_leaks(tmp_path, way):
    train, val = folder_of_photos(tmp_path / "train"), folder_of_photos(tmp_path / "val")
    image = Image.open(train / "dog" / "3.jpg")
    copy = val / "dog" / ("leak.png" if way == "format" else "leak.jpg")
    if way == "quality":
        image.save(copy, quality=40)
    elif way == "size":
        image.resize((200, 200), Image.Resampling.BICUBIC).save(copy, quality=95)
    elif way == "brightness":
        image.point(lambda v: int(v * 0.8)).save(copy, quality=95)
    else:
        image.save(copy)
    (problem,) = harmful(audit(tmp_path))
    assert (problem.id, problem.file, problem.part) == ("data-leak-train-val", str(copy), "val")
    assert str(train / "dog" / "3.jpg") in problem.message


def resaved(image_HW, way):
    """A gray picture as a reader gives it after it was saved with loss."""
    image, file = Image.fromarray(image_HW), io.BytesIO()
    if way == "palette":
        image.convert("RGB").quantize(16).save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=int(way))
    return np.asarray(Image.open(file).convert("L"))


def small_pictures(name, shared_data):
    if name == "digits":
        return (16 * load_digits().images).clip(0, 255).astype(np.uint8)
    return open_data(str(shared_data / name)).train.stacked()[:3000, 0].numpy()


@pytest.mark.parametrize("name", ["digits", "fashion_mnist"])
def test_small_pictures_saved_anew_are_suspects_and_others_are_not(shared_data, name):
    x_NHW = small_pictures(name, shared_data)
    places, labels = [(0, i) for i in range(len(x_NHW))], np.zeros(len(x_NHW), int)
    album = look_through("train", open_data((x_NHW, labels), split=0).train)
    parts = [album, look_through("val", open_data((x_NHW, labels), split=0).train)]
    halves = [(i % 2, i) for _, i in places]  # nothing leaks from one half into the other
    assert list(resaved_pairs(parts, halves)) == []
    rows = range(0, 600, 10)
    for way, least in (("50", 0.85), ("75", 0.98), ("palette", 0.95)):
        copies = np.stack([resaved(x_NHW[i], way) for i in rows])
        other = look_through("val", open_data((copies, labels[:60]), split=0).train)
        pairs = resaved_pairs([album, other], [*places, *((1, k) for k in range(60))])
        near = near_pairs([album, other], [*places, *((1, k) for k in range(60))])
        found = {*pairs, *(pair for pair, _ in near)}
        assert {((0, i), (1, k)) for k, i in enumerate(rows)} >= found
        assert len(found) >= least * 60


def test_swapped_labels_are_the_first_suspects():
    source = open_data("digits")
    x, y = source.train.stacked(), source.train.labels().clone()
    rows = torch.arange(0, 1437, 60)
    y[rows] = (y[rows] + 3) % 10
    (problem,) = audit((x, y))
    assert problem.harm == "suspect"
    assert len(set(problem.samples) & set(rows.tolist())) >= 22  # of 24


def test_labels_shuffled_against_the_pictures():
    source = open_data("digits")
    y = source.train.labels()[torch.randperm(1437, generator=torch.Generator().manual_seed(0))]
    assert "label-misaligned" in {p.id for p in audit((source.train.stacked(), y))}


def test_rare_and_missing_classes_and_alike_names(tmp_path):
    folder_of_photos(tmp_path / "train", 60, ("cat", "dog", "owl"))
    for i in range(4, 60):
        (tmp_path / "train" / "owl" / f"{i}.jpg").unlink()
    folder_of_photos(tmp_path / "val", 6, ("cat", "dog"))
    problems = audit(tmp_path)
    (rare,) = harmful(problems)
    assert rare.id == "class-imbalance"
    assert rare.file == str(tmp_path / "train" / "owl")
    assert {p.id for p in problems} >= {"class-not-in-val"}
    x = np.random.RandomState(0).randint(0, 256, (20, 8, 8)).astype(np.uint8)
    (alike,) = harmful(audit((x, ["Cat", "cat"] * 10)))
    assert alike.id == "class-names-alike"
    balanced = np.repeat(np.arange(2), [75, 25])  # 3 to 1 must stay quiet
    noise = np.random.RandomState(1).randint(0, 256, (100, 8, 8)).astype(np.uint8)
    assert harmful(audit((noise, balanced))) == []


def test_one_file_listed_twice_has_no_name_alike(tmp_path):
    folder_of_photos(tmp_path / "im", 3, ("x",))
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nim/x/0.jpg,a\nim/x/1.jpg,b\nim/x/2.jpg,a\nim/x/0.jpg,b\n")
    problems = audit(tmp_path)
    assert "file-names-alike" not in {p.id for p in problems}
    (twice,) = [p.message for p in problems if p.id == "label-conflict" and p.line is None]
    assert twice == "is listed twice, but labelled 'b' and not 'a'"
    text = report([finding_of(p) for p in problems])
    assert f"    {tmp_path / 'im' / 'x' / '0.jpg'}: is listed twice" in text
    Image.open(tmp_path / "im" / "x" / "2.jpg").save(tmp_path / "im" / "x" / "A.jpg")
    Image.open(tmp_path / "im" / "x" / "2.jpg").save(tmp_path / "im" / "x" / "a.jpg")
    table.write_text(table.read_text() + "im/x/A.jpg,a\nim/x/a.jpg,a\n")
    assert "file-names-alike" in {p.id for p in audit(tmp_path)}


@pytest.mark.parametrize(
    ("text", "odd"),
    [("file,label\n0.jpg,b\n1.jpg, a\n", set()), ("file,label\n0.jpg,b \n1.jpg,a\n", {BLANKS}),
     ("\ufefffile,label\n0.jpg,b\n1.jpg,a\n", {"label-bom"}),
     ("file,label \r\n0.jpg,b\r\n1.jpg,a\r\n", {"label-crlf"})],
)  # fmt: skip
def test_what_is_odd_about_a_table_is_said(tmp_path, text, odd):
    folder_of_photos(tmp_path, 2, ("im",))
    (tmp_path / "im" / "labels.csv").write_bytes(text.encode())
    harmless = {p.id for p in audit(tmp_path / "im") if p.harm == "harmless"}
    assert harmless & {BLANKS, "label-bom", "label-crlf", "label-commas"} == odd


@pytest.mark.parametrize(("sizes", "said"), [
    ([(16, 16)] * 29 + [(16, 24)], ["16 x 16 is usual"]),
    ([(24, 16)] * 29 + [(16, 24)], ["16 x 24 is usual"]),
    ([(16, 16)] * 30, []),
    ([(16, 16)] * 15 + [(16, 24)] * 15, []),
    ([(16, 16 + i % 9) for i in range(30)], []),
    ([(16, 16)] * 5 + [(16, 24)], []),
])  # fmt: skip
def test_another_size_than_that_of_nearly_all_is_worth_a_word(tmp_path, sizes, said):
    random = np.random.RandomState(0)
    for i, (height, width) in enumerate(sizes):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        pixels = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    found = [p for p in audit(tmp_path) if p.id == "image-odd-size"]
    assert [p.harm for p in found] == ["harmless"] * len(said)
    assert all(words in p.message for words, p in zip(said, found, strict=True))


def test_all_the_same_picture_is_one_problem():
    (problem,) = harmful(audit((np.full((30, 8, 8), 9, np.uint8), np.arange(30) % 2)))
    assert problem.id == "data-constant-input"


def test_many_of_a_kind_are_told_once(tmp_path):
    folder_of_photos(tmp_path / "set", 60)
    for file in (tmp_path / "set").rglob("*.jpg"):
        file.write_bytes(b"")
    Image.new("RGB", (8, 8)).save(tmp_path / "set" / "cat" / "good.png")
    empty = [p for p in audit(tmp_path / "set") if p.id == "file-empty"]
    assert len(empty) == 1
    assert len(empty[0].samples) == 120
    assert empty[0].message.startswith("120 times")


def test_progress_is_told():
    told = []
    audit("digits", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1797, 1797)
    assert told == sorted(told)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_progress_in_a_file_ends_at_the_end(seconds, monkeypatch, capsys):
    from snellen.train.progress import _Lines

    monkeypatch.setattr(_Lines, "interval", seconds)
    with progress("looking at") as tell:
        tell(3, 8)
    last = "looking at  100%  8 of 8"
    assert capsys.readouterr().out.splitlines()[1:] == [last] * (not seconds)


def test_files_that_only_one_task_reads_are_looked_at_too(tmp_path):
    folder = Coco().example(tmp_path)
    assert [p for p in audit(folder) if p.file and "captions" in p.file] == []
    captions = folder / "annotations" / "captions_train.json"
    captions.write_text('{"images": [], "annotations": [{"image_id": 1, "caption": ""}]}')
    (said,) = [p for p in audit(folder) if "captions" in p.message]
    assert (said.id, said.harm) == ("label-unreadable", "harmful")
    assert "task=caption cannot read these data" in said.message
    images = json.loads((folder / "annotations" / "instances_train.json").read_text())["images"]
    rows = [{"image_id": image["id"], "caption": "a thing"} for image in images]
    captions.write_text(json.dumps({"images": images, "annotations": [*rows, {"caption": "odd"}]}))
    (said,) = [p for p in audit(folder) if p.file == str(captions)]
    assert (said.id, said.line) == ("label-orphan", 1)
