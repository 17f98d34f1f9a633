"""What lives at once: masks of a batch and samples that are looked at may each be large."""

import weakref
from dataclasses import replace

import pytest
import torch

from snellen.data.sample import Sample
from snellen.data.source import SampleSet, Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.tasks import instances
from snellen.tasks.coco_results import run_lengths
from snellen.tasks.instances import Instances

SCALE, COUNT = 4, 12


class Peak:
    """The most bytes of watched tensors that lived at once."""

    def __init__(self):
        self.now = self.most = 0

    def watch(self, tensor):
        size = tensor.untyped_storage().nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(tensor.untyped_storage(), self.gone, size)
        return tensor

    def gone(self, size):
        self.now -= size


class Large(SampleSet):
    """Drawn scenes, enlarged whenever they are asked for."""

    def __init__(self, count=COUNT):
        self.scenes = WorldSet(0, count, World(fewest=2, most=2, empty=0.0))
        self.peak = Peak()

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, i):
        sample = self.scenes[i]
        x = self.peak.watch(
            sample.image_CHW.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
        )
        masks = sample.target.masks_NHW.repeat_interleave(SCALE, 1).repeat_interleave(SCALE, 2)
        boxes = sample.target.boxes_N4 * SCALE
        return Sample(x, replace(sample.target, masks_NHW=masks, boxes_N4=boxes), i)


@pytest.fixture(scope="module")
def source():
    return Source("large", "own", Large(), tuple("abcdef"))


def test_one_picture_of_the_data_is_held_at_a_time(source):
    """Sizes, anchors and the baseline are told off hundreds of samples."""
    part = source.train
    one = part[0].image_CHW.untyped_storage().nbytes()
    task = Instances.from_source(source)
    baseline = task.baseline(part)
    assert 0 <= baseline["mAP50-95"] < 0.5
    assert one <= part.peak.most <= 3 * one
    assert len(part) > 3


def test_masks_are_pasted_picture_by_picture(source, monkeypatch):
    peak, paste = Peak(), instances.paste_masks
    monkeypatch.setattr(instances, "paste_masks", lambda *a: peak.watch(paste(*a)))
    task = Instances.from_source(source)
    samples = [source.train[i] for i in range(8)]
    batch = task.encode(samples)
    metric = task.metric()
    said = task.decode(task.oracle(batch), batch)
    assert peak.most == 0
    metric.update(said, [sample.target for sample in samples])
    assert metric.compute()["mAP50-95"] > 0.95
    one = samples[0].target.masks_NHW.numel()
    assert one <= peak.most <= 2 * one  # the last one and the one after it
    assert torch.equal(said[3].masks_NHW, list(said)[3].masks_NHW)


def test_run_lengths_are_those_of_all_masks_together():
    from pycocotools import mask as coco

    masks = torch.rand(5, 9, 13, generator=torch.Generator().manual_seed(0)) < 0.5
    together = coco.encode(masks.permute(1, 2, 0).to(torch.uint8).numpy().copy(order="F"))
    assert [one["counts"] for one in run_lengths(masks)] == [m["counts"].decode() for m in together]
    assert run_lengths(masks[:0]) == []
