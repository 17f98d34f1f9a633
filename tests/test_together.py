"""Files that are read together: the same samples as one by one, whatever lies in a folder."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_near import after_a_note, jpeg_bytes, scene, turned

from snellen.core.errors import DataError
from snellen.data import jpeg
from snellen.data import near as near_module
from snellen.data.inputs import Inputs
from snellen.data.near import Near
from snellen.data.open import open_data
from snellen.data.pixel_cache import PixelCache
from snellen.data.relabel import Relabelled
from snellen.data.sample import Sample, Target
from snellen.data.source import Part, SampleSet
from snellen.tasks.classify import Classify
from snellen.train.ahead import Ahead
from snellen.train.feed import Resident, Streamed
from snellen.train.held import Held, encode

COLOUR = Inputs(3, 32, 32, (0.5,) * 3, (0.25,) * 3, "bytes")
GRAY = Inputs(1, 32, 32, (0.5,), (0.25,), "bytes")
UNIT = Inputs(3, 32, 32, (0.0,) * 3, (1.0,) * 3, "0..1")
OWN = Inputs(3, 32, 32, (0.0,) * 3, (1.0,) * 3, "own")
needs_simplejpeg = pytest.mark.skipif(not jpeg.is_here(), reason="simplejpeg is not installed")


def damaged(data):
    """With bytes too many after the pixels, at which Pillow alone does not take offence."""
    return data[:-2] + bytes(9) + data[-2:]


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


SIDE = scene(32, 32)
KINDS = {
    "plain": jpeg_bytes(SIDE),
    "plain, too": jpeg_bytes(scene(32, 32, 1), quality=50, subsampling=0),
    "progressive": jpeg_bytes(scene(32, 32, 2), progressive=True),
    "gray": jpeg_bytes(SIDE.convert("L")),
    "CMYK": jpeg_bytes(SIDE.convert("CMYK")),
    "turned": turned(SIDE, 6),
    "turned, after a note": after_a_note(turned(SIDE, 3)),
    "turned, padded": (lambda data: data[:2] + b"\xff" + data[2:])(turned(SIDE, 8)),
    "upright EXIF": turned(SIDE, 1),
    "damaged": damaged(jpeg_bytes(SIDE)),
    "wide": jpeg_bytes(scene(32, 40)),
    "small": jpeg_bytes(scene(20, 30)),
    "large": jpeg_bytes(scene(375, 500)),
    "PNG": png(SIDE),
    "plain, at last": jpeg_bytes(scene(32, 32, 3)),
}


def folder_of(where, files):
    """Files in two classes, by turns -> the data set."""
    for i, data in enumerate(files):
        path = where / "ab"[i % 2] / f"{i:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return open_data(where, split=0.0).train


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Every kind three times, in two classes."""
    where = tmp_path_factory.mktemp("mixed")
    folder_of(where, [*KINDS.values()] * 3)
    return where


@pytest.fixture
def part(mixed):
    return open_data(mixed, split=0.0).train


def same_samples(samples, others):
    for a, b in zip(samples, others, strict=True):
        assert a.image_CHW.dtype == b.image_CHW.dtype
        assert torch.equal(a.image_CHW, b.image_CHW)
        assert (a.index, a.path, a.size) == (b.index, b.path, b.size)
        assert a.target.given() == b.target.given()


def same_batches(batches, others):
    for a, b in zip(batches, others, strict=True):
        for x, y in ((a.x, b.x), (a.index_B, b.index_B), (a.sizes_B2, b.sizes_B2)):
            assert torch.equal(x, y)
        assert torch.equal(a.y["label"], b.y["label"])


@pytest.mark.parametrize("with_simplejpeg", [True, False])
@pytest.mark.parametrize("inputs", [COLOUR, GRAY, UNIT])
@pytest.mark.parametrize("together", [1, 5000, 2**18])
def test_together_they_are_what_they_are_one_by_one(
    part, inputs, together, with_simplejpeg, monkeypatch, tmp_path
):
    if not with_simplejpeg:
        monkeypatch.setattr(jpeg, "is_here", lambda: False)
    monkeypatch.setattr(near_module, "TOGETHER", together)
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0)).tolist()
    for kept in (None, PixelCache(tmp_path)):
        near = part.near(Near(inputs, kept))
        same_samples(near.samples(rows), [near[i] for i in rows])
        half = Part(near, rows[::2])
        same_samples(half.samples([3, 1]), [half[3], half[1]])
        other = Relabelled(near, [1, 0])
        same_samples(other.samples(rows), [other[i] for i in rows])
    same_samples(part.samples(rows), [part[i] for i in rows])
    assert near.samples([]) == []


def test_gray_files_are_read_together_too(tmp_path):
    gray = folder_of(tmp_path, [jpeg_bytes(scene(32, 32, i).convert("L")) for i in range(6)])
    for inputs in (GRAY, COLOUR):
        near = gray.near(Near(inputs, None))
        assert near.samples([0])[0].image_CHW.shape == (inputs.channels, 32, 32)
        same_samples(near.samples(range(6)), [near[i] for i in range(6)])


@needs_simplejpeg
def test_only_plain_files_of_just_the_size_are_decoded_in_place():
    files = list(KINDS.values())
    found = dict(zip(KINDS, jpeg.decode_all(files, (32, 32), 3, most=32 * 32), strict=True))
    plain = {"plain", "plain, too", "plain, at last", "progressive", "gray", "upright EXIF"}
    assert {kind for kind, pixels in found.items() if pixels is not None} == plain
    for kind in plain - {"gray"}:
        assert np.array_equal(found[kind], np.array(Image.open(io.BytesIO(KINDS[kind])))), kind
    assert jpeg.decode_all(files, (32, 32), 3, most=32 * 32 - 1) == [None] * len(files)


def test_files_are_refused_together_where_they_are_one_by_one(tmp_path):
    near = folder_of(tmp_path, [KINDS["plain"], KINDS["plain, too"]]).near(Near(OWN, None))
    for read in (lambda: near[0], lambda: near.samples([0, 1])):
        with pytest.raises(DataError, match="floats that you prepared"):
            read()


def held_bytes(image_CHW):
    return image_CHW.untyped_storage().nbytes()


@pytest.mark.parametrize("inputs", [COLOUR, GRAY, UNIT])
def test_a_sample_that_is_kept_holds_its_own_pixels_and_no_others(part, inputs):
    near = part.near(Near(inputs, None))
    samples, alone = near.samples(range(len(part))), list(near)
    for sample, other in zip(samples, alone, strict=True):
        assert held_bytes(sample.image_CHW) == held_bytes(other.image_CHW)
    storages = {sample.image_CHW.untyped_storage().data_ptr() for sample in samples}
    assert len(storages) == len(samples)
    assert saved_bytes(samples[0].image_CHW) == saved_bytes(alone[0].image_CHW)


def saved_bytes(image_CHW):
    file = io.BytesIO()
    torch.save(image_CHW, file)
    return file.tell()


def test_flat_files_ask_for_no_more_than_their_pixels(tmp_path):
    flat = [jpeg_bytes(Image.new("RGB", (255, 255), (i, 0, 0)), quality=50) for i in range(12)]
    wide = [jpeg_bytes(Image.new("RGB", (300, 200), (i, 0, 0)), quality=50) for i in range(12)]
    inputs = Inputs(3, 255, 255, (0.5,) * 3, (0.25,) * 3, "bytes")
    near = folder_of(tmp_path, flat + wide).near(Near(inputs, None))
    ahead = Ahead(near, threads=2)
    images = [sample.image_CHW for sample in ahead.samples(range(24))]
    assert ahead._largest == max(map(held_bytes, images)) == 3 * 255 * 255
    assert sum(map(held_bytes, images)) == sum(image.nbytes for image in images)
    ahead.close()


def test_every_kind_of_feed_deals_the_same_batches(part):
    task = Classify({"classes": ["a", "b"], "inputs": COLOUR.as_dict()})
    near, places = part.near(Near(COLOUR, None)), {s.path: i for i, s in enumerate(part)}
    feeds = [Streamed(near, task, 8, 0), Streamed(near, task, 8, 0, readers=3),
             Streamed(near, task, 8, 2), Resident(Held(near, task), 8),
             Resident(Held(near, task, readers=3), 8)]  # fmt: skip
    rows = [rows.tolist() for rows in feeds[0].rows(1, 5)]
    alone = [encode(task, [near[i] for i in some]) for some in rows]
    assert [batch.index_B.tolist() for batch in alone] == rows
    assert sorted(places.values()) == list(range(len(part)))
    for feed in feeds:
        same_batches(feed.epoch(1, 5), alone)


def test_batches_are_numbered_by_place_and_problems_by_the_sets_own_rows(part):
    task = Classify({"classes": ["a", "b"], "inputs": COLOUR.as_dict()})
    rows, heard = [9, 4, 30], []
    some = Part(part.near(Near(COLOUR, None)), rows)
    feed = Streamed(some, task, 8, 0, tell=lambda index, problems: heard.append(index))
    (batch,) = feed.epoch(0, 0)
    assert sorted(batch.index_B.tolist()) == [0, 1, 2]
    assert sorted(heard) == sorted(rows)


def test_a_damaged_file_among_others_is_named(mixed, tmp_path):
    task = Classify({"classes": ["a", "b"], "inputs": COLOUR.as_dict()})
    files = [KINDS["plain"] if i != 5 else KINDS["plain"][:400] for i in range(8)]
    near = folder_of(tmp_path, files).near(Near(COLOUR, None))
    for readers in (0, 2):
        with pytest.raises(DataError, match=r"5\.jpg"):
            list(Streamed(near, task, 8, 0, readers=readers).epoch(0, 0))


def test_files_are_held_only_as_many_as_are_decoded_together(monkeypatch):
    monkeypatch.setattr(near_module, "TOGETHER", 10)
    monkeypatch.setattr(near_module, "read_bytes", lambda path: b"x" * int(path))
    sizes = ["4", "4", "4", "1", "30", "2", "2"]
    parts = list(near_module._parts(sizes))
    assert [[path for path, _ in part] for part in parts] == [
        ["4", "4", "4"], ["1", "30"], ["2", "2"]]  # fmt: skip


class Bad(SampleSet):
    """Rows, one of which cannot be read."""

    reads_files = True

    def __len__(self):
        return 40

    def __getitem__(self, i):
        if i == 7:
            raise DataError("row 7")
        return Sample(torch.zeros(3, 4, 4, dtype=torch.uint8), Target(label=0), i)


def test_only_who_asks_for_what_cannot_be_read_hears_of_it():
    ahead = Ahead(Bad(), threads=2)
    ahead.expect(range(40))
    ahead.samples([20])
    rows = [i for i in range(40) if i not in (7, 20)]
    assert [sample.index for sample in ahead.samples(rows)] == rows
    with pytest.raises(DataError, match="row 7"):
        ahead.samples([7])
    ahead.close()


class Counted(Bad):
    """Rows that tell with which others they were read."""

    def __init__(self):
        self.calls = []

    def __getitem__(self, i):
        return Sample(torch.zeros(3, 4, 4, dtype=torch.uint8), Target(label=0), i)

    def samples(self, rows):
        self.calls.append(list(rows))
        return super().samples(rows)


def test_threads_share_the_rows_of_a_step():
    part = Counted()
    ahead = Ahead(part, threads=4)
    ahead.samples(range(40))
    assert sorted(map(len, part.calls)) == [10] * 4
    ahead.close()
    task = Classify(
        {"classes": ["a"], "inputs": Inputs(3, 4, 4, (0.5,) * 3, (0.25,) * 3).as_dict()}
    )
    part = Counted()
    list(Streamed(part, task, 10, 0).epoch(0, 0))
    assert list(map(len, part.calls)) == [10] * 4
