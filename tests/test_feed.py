"""The same batches for the same seed, epoch and step; nothing dropped; the global RNG untouched."""

import random
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.data.sample import Sample, Target
from snellen.data.source import Part, SampleSet
from snellen.tasks.classify import Classify
from snellen.train.feed import Resident, Streamed
from snellen.train.held import Held

SPEC = {
    "classes": ["a", "b"],
    "inputs": {"channels": 1, "height": 2, "width": 2, "mean": [0.0], "std": [1.0]},
}


class Noisy(SampleSet):
    """A set like a user's: the image is its row number plus noise from all three generators."""

    def __init__(self, count, noisy=True):
        self.count, self.noisy = count, noisy
        self.repeatable = not noisy

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        draws = random.random() + np.random.rand() + torch.rand(1).item() if self.noisy else 0.0
        return Sample(torch.full((1, 2, 2), i + draws / 10), Target(label=i % 2), index=i)


def feeds(count, batch):
    task = Classify(SPEC)
    return [
        Resident(Held(Noisy(count, noisy=False), task), batch),
        Streamed(Noisy(count), task, batch, 0),
    ]


@settings(deadline=None)
@given(count=st.integers(1, 400), batch=st.integers(1, 100), epoch=st.integers(0, 9))
def test_every_sample_comes_once_an_epoch_in_batches_that_differ_by_one(count, batch, epoch):
    feed = Resident(Held(Noisy(count, noisy=False), Classify(SPEC)), batch)
    rows = [b.index_B for b in feed.epoch(epoch, seed=3)]
    assert sorted(torch.cat(rows).tolist()) == list(range(count))
    sizes = {len(r) for r in rows}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert len(rows) == feed.steps


@pytest.mark.parametrize("kind", [0, 1])
def test_a_drawn_part_is_in_order_where_it_is_all_and_else_drawn_from_everywhere(kind):
    feed = feeds(300, 8)[kind]
    for most in (5, 9):
        parts = list(zip(feed.drawn(most), feed.in_order(), strict=True))
        assert all(torch.equal(a.index_B, b.index_B) for a, b in parts)
    picked = torch.cat([b.index_B for b in feed.drawn(2)])
    assert len(picked) == len(set(picked.tolist())) == 128
    assert torch.equal(picked, torch.cat([b.index_B for b in feed.drawn(2)]))
    assert torch.histc(picked.float(), 4, 0, 300).min() > 16  # the first 128 leave two at 0
    assert [b.x[0, 0, 0, 0].round().item() for b in feed.drawn(2)] == picked[[0, 64]].tolist()


@pytest.mark.parametrize("kind", [0, 1])
def test_an_epoch_can_be_entered_at_any_step(kind):
    feed = feeds(50, 8)[kind]
    whole = [b.x for b in feed.epoch(2, seed=1)]
    rest = [b.x for b in feed.epoch(2, seed=1, start=3)]
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], rest, strict=True))
    other = [b.x for b in feed.epoch(3, seed=1)]
    assert not torch.equal(whole[0], other[0])


def test_workers_change_nothing_not_even_a_data_sets_own_noise():
    task, part = Classify(SPEC), Noisy(20)
    alone = [b.x for b in Streamed(part, task, 8, 0).epoch(0, seed=5)]
    helped = [b.x for b in Streamed(part, task, 8, 2).epoch(0, seed=5)]
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


@pytest.mark.parametrize("kind", [0, 1])
def test_reading_leaves_the_generators_of_the_training_alone(kind):
    feed = feeds(20, 8)[kind]
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    wanted = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    list(feed.epoch(0, seed=0))
    assert (torch.rand(1), np.random.rand(), random.random()) == wanted


def test_rows_are_positions_in_the_part_that_is_fed():
    part = Part(Noisy(30, noisy=False), range(10, 30))
    for feed in (
        Resident(Held(part, Classify(SPEC)), 7),
        Streamed(part, Classify(SPEC), 7, 0),
    ):
        for batch in feed.epoch(0, seed=0):
            assert torch.equal(batch.x[:, 0, 0, 0].round().long(), batch.index_B + 10)


class Counted(Noisy):
    """Tells how often each sample was read."""

    def __init__(self, count):
        super().__init__(count, noisy=False)
        self.read = [0] * count

    def __getitem__(self, i):
        self.read[i] += 1
        return super().__getitem__(i)


def test_a_held_sample_is_read_once_and_when_it_is_asked_for():
    part, told = Counted(1000), []
    held = Held(part, Classify(SPEC), tell=lambda index, problems: told.append(index))
    held.select(torch.tensor([5, 999, 5]))
    assert (sum(part.read), part.read[5], held.missing) == (2, 1, 998)
    held.read(seconds=0.0)
    assert 2 < sum(part.read) < 1000
    whole = held.whole()
    assert (held.missing, set(part.read), sorted(told)) == (0, {1}, list(range(1000)))
    assert whole.x[:, 0, 0, 0].tolist() == list(range(1000))
    assert [t.label for t in whole.targets] == (whole.y["label"]).tolist()


@pytest.mark.parametrize("how", ["memory", "here", "threads", "workers"])
def test_what_is_wrong_with_a_sample_is_told_once_however_it_is_read(how):
    class Wrong(Noisy):
        reads_files = how == "threads"

        def __getitem__(self, i):
            sample = super().__getitem__(i)
            return replace(sample, target=Target(label=7)) if i in (13, 24) else sample

    part, task, told = Part(Wrong(30, noisy=False), range(10, 30)), Classify(SPEC), []

    def tell(index, problems):
        told.append((index, [problem.id for problem in problems]))

    workers, readers = 2 * (how == "workers"), 2 * (how == "threads")
    feed = (Resident(Held(part, task, tell=tell), 8) if how == "memory" else
            Streamed(part, task, 8, workers, readers=readers, tell=tell))  # fmt: skip
    list(feed.epoch(0, seed=0, start=2))  # as of a training that goes on
    for epoch in range(1, 3):
        list(feed.epoch(epoch, seed=0))
    list(feed.in_order())
    assert [index for index, _ in sorted(told)] == list(range(10, 30))
    assert {index for index, ids in told if ids == ["label-out-of-range"]} == {13, 24}
    assert sum(not ids for _, ids in told) == 18


def test_the_order_of_reading_changes_no_batch():
    ahead, late = (Resident(Held(Noisy(300, noisy=False), Classify(SPEC)), 64) for _ in range(2))
    ahead.held.read()
    for a, b in zip(ahead.epoch(1, seed=2), late.epoch(1, seed=2), strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y["label"], b.y["label"])
    for a, b in zip(ahead.in_order(), late.in_order(), strict=True):
        assert torch.equal(a.x, b.x)
        assert [t.label for t in a.targets] == [t.label for t in b.targets]


def test_what_was_read_in_inference_mode_can_be_trained_on():
    held = Held(Noisy(8, noisy=False), Classify(SPEC))
    with torch.inference_mode():
        held.select(torch.arange(4))
    x = held.whole().x
    weight = torch.ones(1, requires_grad=True)
    (weight * x).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(("side", "batch", "most"), [(2, 2, 64), (256, 2, 16), (1024, 2, 2)])
def test_no_more_pictures_are_judged_at_once_than_are_small_or_fit_the_batch(side, batch, most):
    """A batch of 2 for want of memory is not to meet 64 large pictures in its evaluation."""
    inputs = {**SPEC["inputs"], "height": side, "width": side}
    task = Classify({**SPEC, "inputs": inputs})
    for feed in (Resident(Held(Noisy(70, False), task), batch),
                 Streamed(Noisy(70), task, batch, 0)):  # fmt: skip
        assert {len(rows) for rows in feed.slices()[:-1]} == {most}
        assert [i for rows in feed.slices() for i in rows] == list(range(70))


@pytest.mark.parametrize(("side", "most"), [(2, 64), (256, 16), (2048, 1)])
def test_few_large_samples_are_whole_in_memory_while_a_part_is_read(side, most):
    """They may hold pictures and masks of any size, of which the input is the smaller copy."""
    inputs, alive = {**SPEC["inputs"], "height": side, "width": side}, [0, 0]

    class Watched(Noisy):
        def __getitem__(self, i):
            sample = super().__getitem__(i)
            alive[:] = alive[0] + 1, max(alive[1], alive[0] + 1)
            weakref.finalize(sample.target, lambda: alive.__setitem__(0, alive[0] - 1))
            return sample

    part = Watched(2 * most + 2, noisy=False)
    Held(part, Classify({**SPEC, "inputs": inputs}), targets=False).whole()
    assert alive[1] <= most + 1
