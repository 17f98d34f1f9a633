"""Before the first step: what is refused, what is held in memory, and what is not."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.sample import VOID, Sample, Target
from snellen.data.source import SampleSet, Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.tasks.detect import Detect
from snellen.tasks.regress import Regress
from snellen.tasks.segment import Segment
from snellen.train.feed import Resident, Streamed
from snellen.train.held import Held
from snellen.train.prepare import LOOKED, check_round_trip
from snellen.train.recipe import Recipe
from snellen.train.residence import Told, held_bytes, home, make_feeds
from snellen.train.speed import Machine

WORLD = World(height=32, width=32, fewest=1, most=1)


class Made(SampleSet):
    """Samples by a function of their row."""

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return self.make(i)


def picture():
    return torch.zeros(3, 32, 32, dtype=torch.uint8)


def nothing(i):
    return Sample(picture(), Target(labels=torch.zeros(0, dtype=torch.int64),
                                    boxes_N4=torch.zeros(0, 4)), i)  # fmt: skip


def crowd(i):
    box = torch.tensor([[2.0, 2, 20, 20]])
    return Sample(picture(), Target(labels=torch.tensor([0]), boxes_N4=box,
                                    ignored_N=torch.tensor([True])), i)  # fmt: skip


def void(i):
    return Sample(picture(), Target(semantic_HW=torch.full((32, 32), VOID)), i)


def unknown(i):
    return Sample(picture(), Target(values_V=torch.tensor([float("nan")])), i)


def known(i):
    return Sample(picture(), Target(values_V=torch.tensor([float(i)])), i)


def mapped(i):
    return Sample(picture(), Target(semantic_HW=torch.arange(32).expand(32, 32) // 16), i)


def boxed(i):
    return WorldSet(0, LOOKED + 50, WORLD)[i]


@pytest.mark.parametrize(
    ("kind", "silent", "telling"),
    [(Detect, nothing, boxed), (Detect, crowd, boxed), (Segment, void, mapped),
     (Regress, unknown, known)],
)  # fmt: skip
@pytest.mark.parametrize("count", [3, 0])
def test_rows_without_anything_to_be_told_are_no_fault(kind, silent, telling, count):
    """Whether the first 70 rows, or nearly all, or all hold nothing."""
    rows = 100 if count else 70
    whole = Source("made", "made", Made(8, telling), tuple("abcdef"), values=("age",))
    task = kind.from_source(whole)
    check_round_trip(task, Made(rows, lambda i: (silent if i < rows - count else telling)(i)))


class Shifted(Detect):
    """Its targets lose two pixels on their way."""

    def encode(self, samples):
        batch = super().encode(samples)
        return replace(batch, y={**batch.y, "boxes": [b + 2 for b in batch.y["boxes"]]})


def test_targets_that_do_not_survive_are_refused_also_behind_many_empty_pictures():
    spec = Detect.from_source(Source("made", "made", Made(8, boxed), tuple("abcdef"))).spec
    part = Made(120, lambda i: (boxed if i >= 100 else nothing)(i))
    check_round_trip(Detect(spec), part)
    with pytest.raises(DataError, match=r"would score mAP50-95 0.*do not survive encoding"):
        check_round_trip(Shifted(spec), part)


def test_the_look_through_empty_pictures_is_bounded():
    spec, read = Detect.from_source(Source("m", "m", Made(8, boxed), tuple("abcdef"))).spec, []
    part = Made(10 * LOOKED, lambda i: read.append(i) or nothing(i))
    check_round_trip(Detect(spec), part)
    assert len(read) == LOOKED


def masked(i):
    """A square picture: every eighth row without things, the others with many masks."""
    count = 0 if i % 8 == 0 else 16
    boxes = torch.tensor([[0.0, 0, 16, 16]]).repeat(count, 1)
    masks = torch.zeros(count, 256, 256, dtype=torch.bool)
    masks[:, :16, :16] = True
    target = Target(labels=torch.zeros(count, dtype=torch.int64), boxes_N4=boxes, masks_NHW=masks)
    return Sample(torch.zeros(3, 256, 256, dtype=torch.uint8), target, i)


def test_what_a_part_would_take_is_told_by_rows_from_all_over_it_and_by_their_masks():
    """The first row has no things: it alone would say a quarter of what is held."""
    task = Detect.from_source(Source("m", "m", Made(9, masked), ("a",)), imgsz=64)
    part = Made(60, masked)
    for judged, most in ((True, 60 * 17 * 2**16), (False, 60 * 2**16)):
        told = held_bytes(part, task, judged)
        held = Held(part, task, targets=judged).whole().nbytes
        assert 0.8 * held < told < 1.25 * held < 1.25 * most


def test_a_part_that_is_only_trained_on_holds_no_targets():
    source = Source("m", "m", Made(24, boxed), tuple("abcdef"), Made(8, boxed))
    task, recipe = Detect.from_source(source), Recipe(batch=4)
    train, val = make_feeds(source, task, recipe, Told(print))
    assert next(iter(train.in_order())).targets is None
    assert len(next(iter(val.in_order())).targets) == 8
    alone, none = make_feeds(replace(source, val=None), task, recipe, Told(print))
    assert none is None
    assert len(next(iter(alone.in_order())).targets) == 24


def machine(free_bytes):
    return Machine(2, 0.0, bf16=False, cuda=False, free_bytes=free_bytes)


def test_samples_stay_in_memory_where_both_parts_fit():
    source = Source("m", "m", Made(24, boxed), tuple("abcdef"), Made(8, boxed))
    task, recipe = Detect.from_source(source), Recipe(batch=4)
    taken = held_bytes(source.train, task, False) + held_bytes(source.val, task, True)
    for free_bytes, where in ((4 * taken, "memory"), (4 * taken - 4, "files")):
        choice = home(source, task, recipe, machine(free_bytes))
        assert (choice.setting, choice.value) == ("residency", where)
        assert choice.quiet is (where == "memory")
        train, _ = make_feeds(source, task, recipe.change(residency=where), Told(print))
        assert type(train) is (Resident if where == "memory" else Streamed)


@pytest.mark.parametrize("where", ["memory", "files"])
def test_what_is_wrong_with_samples_is_said_wherever_they_live(where):
    source = Source("m", "m", Made(24, boxed), tuple("abcdef"), Made(8, boxed))
    task, said = Detect.from_source(source), []
    task.spec["classes"] = ["a"]
    recipe = Recipe(batch=4, residency=where)
    for feed in make_feeds(source, task, recipe, Told(said.append)):
        list(feed.in_order())
    assert len(said) == 6
    assert said[0].startswith("data: train sample ")
    assert "box 0 has class" in said[0]
    assert said[-1] == "data: and more such; `snellen check` lists all"


def test_samples_that_change_are_read_each_time():
    part = Made(24, boxed)
    part.repeatable = False
    source = Source("m", "m", part, tuple("abcdef"))
    task = Detect.from_source(source)
    assert home(source, task, Recipe(batch=4), machine(1 << 34)).value == "files"
    with pytest.raises(UsageError, match="residency=memory"):
        home(source, task, Recipe(batch=4, residency="memory"), machine(1 << 34))


def test_what_was_left_out_and_what_was_not_used_stand_in_the_report(tmp_path):
    for part in ("train", "val"):
        for i in range(8):
            path = tmp_path / "data" / part / "ab"[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8)
            Image.fromarray(noise.numpy()).save(path)
    (tmp_path / "data" / "train" / "a" / "0.png").write_bytes(b"no picture")
    how = {"model": "lenet5_bn", "epochs": 1, "quiet": True, "project": tmp_path / "runs"}
    run = sn.train(tmp_path / "data", split=0.3, **how)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "left out of train: " in page
    assert "0.png" in page
    assert "split=0.3 is not used" in page
