"""Channels first or last in memory: batches lie as decoders leave them, networks see the same."""

from dataclasses import replace

import pytest
import torch

from snellen.core import registry
from snellen.data.augment import compose
from snellen.data.augment.one_pass import OnePass, fits
from snellen.data.inputs import Inputs, resize
from snellen.data.pixel_cache import PixelCache
from snellen.data.pixels import stack
from snellen.data.sample import Sample, Target
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute

COLOUR = Inputs(3, 32, 32, (0.5,) * 3, (0.25,) * 3, "bytes")


def test_pictures_lie_in_a_batch_as_decoders_leave_them():
    images = list(torch.randint(0, 256, (4, 6, 5, 3), dtype=torch.uint8).permute(0, 3, 1, 2))
    last = stack(images)
    assert last.is_contiguous(memory_format=torch.channels_last)
    first = stack([image.contiguous() for image in images])
    assert first.is_contiguous()
    mixed = stack([images[0], *(image.contiguous() for image in images[1:])])
    assert torch.equal(last, first)
    assert torch.equal(last, mixed)
    gray = [image[:1].expand(3, -1, -1) for image in images]
    assert torch.equal(stack(gray), torch.stack(gray))
    assert stack([torch.zeros(5)] * 2).shape == (2, 5)
    with pytest.raises(RuntimeError, match="equal size"):
        stack([images[0], images[1][:, :2]])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("words", [*registry.collect("snellen.data.augment", "AUGMENTS"),
                                   "crop+flip+jitter", "jitter+vflip"])  # fmt: skip
def test_networks_are_fed_the_same_whichever_way_pictures_lie(words, layout):
    """By torch's operations and by the loops, where these fit."""
    task = Classify({"classes": ["a", "b"], "inputs": COLOUR.as_dict()})
    x = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    samples = [Sample(image_CHW, Target(label=0)) for image_CHW in x]
    last = [replace(s, image_CHW=image) for s, image in
            zip(samples, x.contiguous(memory_format=torch.channels_last), strict=True)]  # fmt: skip
    compute = Compute(torch.device("cpu"), channels_last=layout is torch.channels_last)
    chains = [compose(words)]
    if fits(chains[0]):
        chains.append(OnePass(chains[0], COLOUR, channels_last=compute.channels_last))
    for chain in chains:
        one, two = (compute.ready(task, chain(task.encode(s), torch.Generator().manual_seed(0))).x
                    for s in (samples, last))  # fmt: skip
        assert torch.equal(one, two)
        assert one.is_contiguous(memory_format=layout)
        assert two.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(375, 500), (20, 30), (224, 32), (32, 50)])
def test_pictures_are_resized_alike_and_stay_as_they_lie(size, channels):
    first = torch.randint(0, 256, (channels, *size), dtype=torch.uint8)
    last = first.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    one, two = resize(first, 32, 32), resize(last, 32, 32)
    assert torch.equal(one, two)
    assert one.is_contiguous()
    assert two.permute(1, 2, 0).is_contiguous()


def test_copies_on_the_disk_lie_as_decoders_leave_pictures(tmp_path):
    kept, image_CHW = PixelCache(tmp_path), torch.randint(0, 256, (3, 8, 6), dtype=torch.uint8)
    last = image_CHW.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    for key, given in (("first", image_CHW), ("last", last)):
        kept.put(kept.key(b"", key), given, (16, 12))
        found, size = kept.get(kept.key(b"", key))
        assert torch.equal(found, image_CHW)
        assert found.permute(1, 2, 0).is_contiguous()
        assert size == (16, 12)
