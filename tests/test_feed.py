"""The same batches for the same seed, epoch and step; nothing dropped; the global RNG untouched."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.sample import Batch, Sample, Target
from snellen.data.source import Part, SampleSet
from snellen.tasks.classify import Classify
from snellen.train.feed import Resident, Streamed, encode_all

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
        Resident(encode_all(Noisy(count, noisy=False), task), batch),
        Streamed(Noisy(count), task, batch, 0),
    ]


@given(count=st.integers(1, 400), batch=st.integers(1, 100), epoch=st.integers(0, 9))
def test_every_sample_comes_once_an_epoch_in_batches_that_differ_by_one(count, batch, epoch):
    feed = Resident(
        Batch(torch.zeros(count, 1, 2, 2), {}, torch.arange(count), torch.ones(count, 2)), batch
    )
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
        Resident(encode_all(part, Classify(SPEC)), 7),
        Streamed(part, Classify(SPEC), 7, 0),
    ):
        for batch in feed.epoch(0, seed=0):
            assert torch.equal(batch.x[:, 0, 0, 0].round().long(), batch.index_B + 10)
