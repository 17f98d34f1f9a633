"""JPEGs read near the wanted size, by threads, copies on the disk: the same pictures, always."""

import io
import os
import pickle
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image
from test_resume import Broken, break_at, same

import snellen as sn
from snellen.core import registry
from snellen.core.cache import cache_folder
from snellen.core.errors import DataError
from snellen.data import jpeg
from snellen.data import near as near_module
from snellen.data.images import decode_near, read_image, read_pixels
from snellen.data.inputs import Inputs
from snellen.data.near import Near
from snellen.data.open import open_data
from snellen.data.pixel_cache import PixelCache
from snellen.data.sample import Sample, Target
from snellen.data.source import SampleSet
from snellen.tasks.classify import Classify
from snellen.train import ahead as ahead_module
from snellen.train.ahead import Ahead
from snellen.train.feed import Resident, Streamed
from snellen.train.held import Held
from snellen.train.recipe import Recipe
from snellen.train.residence import as_fed

needs_simplejpeg = pytest.mark.skipif(not jpeg.is_here(), reason="simplejpeg is not installed")
INPUTS = Inputs(3, 32, 32, (0.5,) * 3, (0.25,) * 3, "bytes")


def scene(height, width, seed=0):
    """A picture with areas, edges and a little grain, as photos have."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [
        np.sin(2 * np.pi * (rng.rand(2) * 6 @ np.stack([y.ravel(), x.ravel()]))) for _ in "rgb"
    ]
    areas = np.stack(waves, 1).reshape(height, width, 3) * 90 + 128
    areas[height // 4 : height // 2, width // 3 : width // 2] = rng.randint(0, 256, 3)
    noisy = areas + rng.randn(height, width, 3) * 4
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def jpeg_bytes(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def turned(image, orientation):
    exif = Image.Exif()
    exif[jpeg.ORIENTATION] = orientation
    return jpeg_bytes(image, exif=exif)


def after_a_note(data):
    """With a note before all else, in which the marker of the pixels stands by chance."""
    note = b"\xff\xfe\x00\x08 \xff\xda\x00\x01 "
    return data[:2] + note + data[2:]


KINDS = {
    "colour": jpeg_bytes(scene(375, 500)),
    "progressive": jpeg_bytes(scene(301, 203), progressive=True, quality=60),
    "no subsampling": jpeg_bytes(scene(300, 301), subsampling=0),
    "gray": jpeg_bytes(scene(280, 320).convert("L")),
    "CMYK": jpeg_bytes(scene(300, 300).convert("CMYK")),
    "turned": turned(scene(300, 400), 6),
    "turned, after a note": after_a_note(turned(scene(300, 400), 6)),
    "upright EXIF": turned(scene(300, 400), 1),
    "small": jpeg_bytes(scene(20, 30)),
}


@needs_simplejpeg
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [None, (32, 32), (16, 100)])
@pytest.mark.parametrize("kind", KINDS)
def test_simplejpeg_and_pillow_see_the_same(kind, wanted, channels, monkeypatch):
    fast, size = decode_near(KINDS[kind], kind, channels, wanted=wanted)
    monkeypatch.setattr(jpeg, "is_here", lambda: False)
    slow, other = decode_near(KINDS[kind], kind, channels, wanted=wanted)
    assert size == other
    assert fast.shape == slow.shape
    assert np.abs(fast.astype(int) - slow).max() <= 2


@pytest.mark.parametrize("simplejpeg", [True, False])
def test_a_picture_is_shrunk_while_it_is_decoded_and_tells_its_own_size(simplejpeg, monkeypatch):
    if not simplejpeg:
        monkeypatch.setattr(jpeg, "is_here", lambda: False)
    assert decode_near(KINDS["colour"], "", wanted=(32, 32))[0].shape == (94, 125, 3)
    pixels, size = decode_near(KINDS["turned"], "", wanted=(32, 32))
    assert pixels.shape == (100, 75, 3)
    assert size == (400, 300)
    assert decode_near(KINDS["small"], "", wanted=(32, 32))[0].shape == (20, 30, 3)


def test_pictures_read_near_their_size_have_the_distribution_of_those_read_whole(tmp_path):
    near, whole = [], []
    for seed in range(12):
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(jpeg_bytes(scene(400, 500, seed)))
        near.append(Near(INPUTS, None).read(str(path), 3)[0].float())
        whole.append(INPUTS.fit(read_image(path)).float())
    near, whole = torch.stack(near), torch.stack(whole)
    assert (near - whole).abs().mean() < 2
    assert (near.mean((0, 2, 3)) - whole.mean((0, 2, 3))).abs().max() < 0.5
    assert (near.std((0, 2, 3)) / whole.std((0, 2, 3)) - 1).abs().max() < 0.02


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "text", "missing"])
def test_damaged_files_are_refused_in_the_same_words(damage, tmp_path, monkeypatch):
    path, data = tmp_path / "a.jpg", KINDS["colour"]
    contents = {"cut": data[: len(data) // 2], "noise": data[:500] + b"\x00\xff\xd9" * 99,
                "empty": b"", "text": b"<html>"}  # fmt: skip
    if damage != "missing":
        path.write_bytes(contents[damage])
    said = []
    for is_here in (jpeg.is_here, lambda: False):
        monkeypatch.setattr(jpeg, "is_here", is_here)
        for read in (read_pixels, lambda p: Near(INPUTS, PixelCache(tmp_path)).read(str(p), 3)):
            with pytest.raises(DataError, match=r"a\.jpg") as error:
                read(path)
            said.append(str(error.value))
    assert len(set(said)) == 1


def test_a_copy_is_used_and_whatever_is_wrong_with_it_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(KINDS["colour"])
    near = Near(INPUTS, PixelCache(tmp_path / "kept"))
    first, size = near.read(str(path), 3)
    (copy,) = (p for p in (tmp_path / "kept").rglob("*") if p.is_file())
    good = copy.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("snellen.data.near.decode_near", None)  # it is not decoded again
        again, same_size = near.read(str(path), 3)
        assert torch.equal(first, again)
        assert size == same_size == (375, 500)
    for bad in (b"", good[:-1], good[:40], good[:-1] + bytes([good[-1] ^ 1]), b"x" + good[1:]):
        copy.write_bytes(bad)
        assert torch.equal(near.read(str(path), 3)[0], first)
        assert copy.read_bytes() == good
    shutil.rmtree(tmp_path / "kept")
    assert torch.equal(near.read(str(path), 3)[0], first)
    path.write_bytes(jpeg_bytes(scene(375, 500, 1)))  # another picture under the old name
    assert not torch.equal(near.read(str(path), 3)[0], first)
    other = Inputs(3, 16, 16, (0.5,) * 3, (0.25,) * 3, "bytes")
    assert Near(other, near.kept).read(str(path), 3)[0].shape == (3, 16, 16)


def test_the_cache_is_bounded_and_the_oldest_make_room(tmp_path):
    def keys(kept):
        return [k for k in map(str, range(100)) if kept.get(kept.key(b"", k))]

    picture = torch.zeros(3, 10, 10, dtype=torch.uint8)
    first = PixelCache(tmp_path, most=10 * 330)
    for i in range(20):
        first.put(first.key(b"", str(i)), picture, (10, 10))
    assert keys(first) == [str(i) for i in range(10)]
    second = PixelCache(tmp_path, most=10 * 330)
    second.put(second.key(b"", "50"), picture, (10, 10))
    left = keys(second)
    assert "50" in left
    assert len(left) == 8  # three quarters stay
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= 10 * 330


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_bound_holds_for_all_forked_workers_of_all_epochs(tmp_path):
    picture = torch.zeros(3, 10, 10, dtype=torch.uint8)
    kept = PixelCache(tmp_path, most=100 * 328)

    def put(who, count):
        for i in range(count):
            kept.put(kept.key(b"", f"{who} {i}"), picture, (10, 10))

    put("parent", 1)
    for epoch in range(3):
        with kept._own().lock:  # as a thread of the parent may have it at that moment
            workers = []
            for worker in range(4):
                workers.append(os.fork())
                if not workers[-1]:
                    put(f"{epoch} {worker}", 60)
                    os._exit(0)
            assert [os.waitpid(worker, 0)[1] for worker in workers] == [0] * 4
        assert 90 <= len(list(tmp_path.glob("??/*"))) <= 100 + len(workers)
    assert kept.get(kept.key(b"", "parent 0")) is not None  # nor is what is in use removed


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    kept = PixelCache(tmp_path / "file")
    kept.put(kept.key(b"", ""), torch.zeros(1, 2, 2, dtype=torch.uint8), (2, 2))
    assert kept.get(kept.key(b"", "")) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("pictures")
    for i in range(40):
        path = where / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg_bytes(scene(260 + i, 270, i)))
    return where


def test_threads_read_what_one_reads_in_every_kind_of_feed(folder):
    source = open_data(folder)
    task = Classify.from_source(source, 32)
    part = source.train.near(Near(task.inputs(), None))
    feeds = [Resident(Held(part, task), 8), Streamed(part, task, 8, 0)]
    feeds += [Resident(Held(part, task, readers=3), 8), Streamed(part, task, 8, 0, readers=3)]
    for deal in (lambda feed: feed.epoch(1, 5, 1), lambda feed: feed.in_order()):
        one, *others = [list(deal(feed)) for feed in feeds]
        for batches in others:
            for a, b in zip(one, batches, strict=True):
                assert torch.equal(a.x, b.x)
                assert torch.equal(a.index_B, b.index_B)
                assert torch.equal(a.sizes_B2, b.sizes_B2)
                assert torch.equal(a.y["label"], b.y["label"])
    assert feeds[2].held.missing == 0


class Watched(SampleSet):
    """Files, as it says, that tell which of them were read."""

    reads_files = True

    def __init__(self):
        self.read = []

    def __len__(self):
        return 40

    def __getitem__(self, i):
        self.read.append(i)
        return Sample(torch.zeros(3, 32, 32, dtype=torch.uint8), Target(label=i % 2), i)


@pytest.mark.parametrize("kind", [Streamed, Resident])
def test_two_steps_are_read_while_one_computes_and_no_more(kind):
    part, task = Watched(), Classify({"classes": ["a", "b"], "inputs": INPUTS.as_dict()})
    feed = (Streamed(part, task, 4, 0, readers=2) if kind is Streamed
            else Resident(Held(part, task, readers=2), 4))  # fmt: skip
    batches = feed.epoch(0, 0)
    rows = torch.cat(feed.rows(0, 0)[:4]).tolist()
    for steps in (3, 4):
        next(batches)
        end = time.monotonic() + 300
        while len(part.read) < 4 * steps and time.monotonic() < end:
            time.sleep(0.001)
        assert sorted(part.read) == sorted(rows[: 4 * steps])
    batches.close()


@pytest.mark.parametrize("name", sorted(registry.collect("snellen.data.formats", "FORMATS")))
def test_threads_read_the_samples_of_every_format(name, tmp_path):
    part = open_data(registry.get("snellen.data.formats", "FORMATS", name).example(tmp_path)).train
    if not part.reads_files:
        pytest.skip("no files of pictures")
    ahead = Ahead(part, threads=3)
    ahead.expect(range(len(part)))
    for i, sample in enumerate(ahead.samples(range(len(part)))):
        alone = part[i]
        assert torch.equal(sample.image_CHW, alone.image_CHW)
        given, wanted = sample.target.given(), alone.target.given()
        assert given.keys() == wanted.keys()
        for key, value in wanted.items():
            same_value = torch.equal if isinstance(value, torch.Tensor) else (lambda a, b: a == b)
            assert same_value(given[key], value)


def test_a_file_that_breaks_while_threads_read_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "set")
    source = open_data(tmp_path / "set", split=0.0)
    task = Classify.from_source(source, 32)
    (tmp_path / "set" / "a" / "12.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"12\.jpg"):
        list(Streamed(source.train, task, 8, 0, readers=2).epoch(0, 0))


def test_a_training_is_the_same_whatever_becomes_of_cache_and_threads(
    folder, tmp_path, monkeypatch
):
    how = {"model": "lenet5_bn", "imgsz": 32, "batch": 8, "epochs": 2, "quiet": True,
           "doctor": False}  # fmt: skip
    whole = sn.train(folder, **how, readers=0, project=tmp_path / "whole")
    assert whole.evaluate() == pytest.approx(whole.metrics)
    with monkeypatch.context() as patch:
        break_at(2, patch)
        with pytest.raises(Broken):
            sn.train(folder, **how, readers=2, project=tmp_path / "cut")
    shutil.rmtree(cache_folder() / "pixels")
    monkeypatch.setattr(jpeg, "is_here", lambda: False)
    same(whole, sn.train(resume=next((tmp_path / "cut").iterdir()), readers=3, quiet=True))


class Large(SampleSet):
    """Pictures of a megabyte, each made when it is asked for."""

    classes = ("one",)
    repeatable = reads_files = True

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 400

    def __getitem__(self, i):
        self.asked.append(i)
        return Sample(torch.zeros(1, 1024, 1024, dtype=torch.uint8), Target(label=0), index=i)


def test_no_more_bytes_are_read_ahead_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(ahead_module, "IN_FLIGHT", 5 * 2**20)
    part = Large()
    ahead = Ahead(part, threads=2)
    for step in range(3):
        ahead.expect(range(16 * step, 16 * step + 48))
        rows = range(16 * step, 16 * step + 16)
        assert [sample.index for sample in ahead.samples(rows)] == list(rows)
        for future in list(ahead._coming.values()):
            future.result()
        assert sorted(part.asked) == list(range(16 * step + 16 + 5))  # five more, and no others
    ahead.close()


def test_another_writers_half_written_copy_is_left_and_a_dead_one_swept(tmp_path):
    picture = torch.zeros(3, 64, 64, dtype=torch.uint8)

    def put(name, most):
        kept = PixelCache(tmp_path, most=most)
        kept.put(kept.key(name, "k"), picture, (64, 64))
        return kept.get(kept.key(name, "k")) is not None

    alive, dead = (tmp_path / "ab" / f".{name}.tmp" for name in ("alive", "dead"))
    (tmp_path / "ab").mkdir()
    for beside, age in ((alive, 60), (dead, 86_400)):
        beside.write_bytes(b"half")
        os.utime(beside, (time.time() - age,) * 2)
    assert put(b"0", 13_000)
    assert put(b"1", 13_000)  # the first makes room, though younger than what is half written
    assert alive.exists()
    assert not dead.exists()


def test_a_cache_whose_folder_is_removed_meanwhile_goes_on(tmp_path, monkeypatch):
    kept, picture = PixelCache(tmp_path / "kept"), torch.zeros(3, 8, 8, dtype=torch.uint8)
    replace = os.replace

    def gone(beside, path):
        os.unlink(beside)
        replace(beside, path)

    monkeypatch.setattr(os, "replace", gone)
    kept.put(kept.key(b"0", "k"), picture, (8, 8))
    monkeypatch.setattr(os, "replace", replace)
    kept.put(kept.key(b"1", "k"), picture, (8, 8))
    assert kept.get(kept.key(b"0", "k")) is None
    assert kept.get(kept.key(b"1", "k")) is not None


@pytest.mark.parametrize("name", ["FIT", "__version__"])
def test_another_way_of_fitting_uses_no_old_copy(name, monkeypatch):
    near = Near(INPUTS)
    before = near._how(3)
    monkeypatch.setattr(near_module, name, "another")
    assert near._how(3) != before


def test_a_part_with_a_cache_is_sent_to_workers_that_start_anew(folder):
    source = open_data(folder, split=0.0)
    near = Near(INPUTS)
    part = pickle.loads(pickle.dumps(source.train.near(near)))
    assert torch.equal(part[3].image_CHW, source.train.near(near)[3].image_CHW)


def test_predict_says_of_the_validation_files_what_evaluate_counted(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 12)):
        for name, spread in (("a", 45), ("b", 60)):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(count):
                noise = rng.normal(128, spread, (320, 320, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noise).save(tmp_path / "set" / part / name / f"{i}.jpg")
    run = sn.train(tmp_path / "set", model="lenet5_bn", imgsz=32, epochs=1, batch=8, doctor=False,
                   preflight="off", project=tmp_path, quiet=True)  # fmt: skip
    predictor = run.predictor
    assert predictor.decoding == "near"
    val = run.parts()[1]
    task = predictor.task
    fed = list(predictor.samples(as_fed(val, task, Recipe(decoding="near"))))
    paths = [sample.path for sample in val]
    given = predictor.images(paths)
    of_files = [found for _, found in predictor.files(paths)]
    whole = predictor.images([read_image(path) for path in paths])
    assert torch.equal(_scores(given), _scores(fed))
    assert torch.equal(_scores(of_files), _scores(fed))
    assert not torch.equal(_scores(whole), _scores(fed))


def _scores(predictions):
    return torch.stack([found.scores_K for found in predictions])
