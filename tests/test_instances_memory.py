"""What lives at once: masks of a batch and samples that are looked at may each be large."""

import weakref
from dataclasses import replace

import pytest
import torch

from snellen.data.letterbox import Letterbox
from snellen.data.sample import Sample, Target
from snellen.data.source import SampleSet, Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.tasks import instances, segment
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


class Widest:
    """`F.interpolate`, and the most numbers that it gave at once."""

    def __init__(self, monkeypatch):
        self.most, self.given = 0, torch.nn.functional.interpolate
        monkeypatch.setattr(torch.nn.functional, "interpolate", self)

    def __call__(self, x, *args, **kwargs):
        given = self.given(x, *args, **kwargs)
        self.most = max(self.most, given.numel(), x.numel())
        return given


@pytest.mark.parametrize("size", [(64, 64), (200, 90), (40, 96)])
def test_masks_are_fitted_to_the_input_one_at_a_time(monkeypatch, size):
    random = torch.Generator().manual_seed(0)
    masks = torch.rand(9, *size, generator=random) < 0.5
    target = Target(labels=torch.zeros(9), boxes_N4=torch.ones(9, 4), masks_NHW=masks)
    frame = Letterbox(size, (96, 96))
    whole = torch.nn.functional.interpolate(masks[None].float(), frame.inner, mode="nearest-exact")
    widest = Widest(monkeypatch)
    fitted = instances._masks(Sample(torch.zeros(3, *size), target), (96, 96))
    assert torch.equal(fitted, frame.pad(whole[0], 0.0).bool())
    assert widest.most <= max(masks[0].numel(), fitted[0].numel())


@pytest.mark.parametrize("size", [(30, 40), (300, 200), (64, 64), (1, 9), (90, 64)])
def test_maps_of_classes_are_told_a_class_at_a_time(monkeypatch, size):
    """As by softmax over all of them, enlarged: 21 classes of a large picture are gigabytes."""
    frame = Letterbox(size, (64, 64))
    logits = 5 * torch.randn(7, 64, 64, generator=torch.Generator().manual_seed(0))
    inner = logits[:, : frame.inner[0], : frame.inner[1]]
    finer = frame.inner[0] >= size[0] and frame.inner[1] >= size[1]
    mode = "nearest-exact" if finer else "bilinear"
    sure, best = torch.nn.functional.interpolate(inner[None], size, mode=mode)[0].softmax(0).max(0)
    widest = Widest(monkeypatch)
    said = segment._told(logits, frame)
    assert torch.equal(said.semantic_HW, best)
    for k, score in enumerate(said.scores_K.tolist()):
        wanted = float(sure[best == k].mean()) if bool((best == k).any()) else 0.0
        assert score == pytest.approx(wanted, abs=1e-5)
    assert widest.most <= max(best.numel(), logits[0].numel())
