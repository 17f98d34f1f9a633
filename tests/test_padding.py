"""A picture that does not fill its input is answered as if it did: padding tells nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.core import registry
from snellen.data.augment import compose
from snellen.data.augment.shade import AUGMENTS
from snellen.data.extent import inside
from snellen.data.letterbox import Letterbox, padding_level
from snellen.data.sample import Sample, Target
from snellen.data.source import Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.models.unet import Level
from snellen.nn._padding import Placed
from snellen.nn.local_contrast import LocalContrast
from snellen.tasks.segment import Segment
from snellen.train.held import Held

SCENES = WorldSet(0, 20, World())
SIDE, FAR = 96, 28  # pixels: of the input; from the seam, to where its own trace is faint


@pytest.fixture(scope="module")
def task():
    return Segment.from_source(Source("scenes", "shapes", SCENES, tuple("abcdefg")))


@pytest.fixture(scope="module")
def net(task):
    torch.manual_seed(0)
    return task.build(sn.model("unet-small", classes=7)).eval()


def cut(i, high, wide):
    """A part of a scene, as bright on the whole as no data set is."""
    image = SCENES[i].image_CHW[:, :high, :wide]
    return Sample((image // 2 + 120).contiguous(), Target(), i)


@pytest.mark.parametrize("size", [(96, 48), (40, 96)])
def test_what_a_network_says_of_a_picture_is_no_matter_of_its_padding(task, net, size):
    sample, far = cut(3, *size), [slice(0, side - FAR if side < SIDE else side) for side in size]
    x = task.inputs().prepare(task.encode([sample]).x)
    alone = task.inputs().prepare(sample.image_CHW[None])
    assert x.shape[-2:] == (SIDE, SIDE)
    with torch.no_grad():
        padded, whole = (net(one)[0, :, far[0], far[1]] for one in (x, alone))
    assert float((padded - whole).abs().max()) < 0.05 * float(whole.std())


@pytest.mark.parametrize("size", [(96, 48), (40, 96), (96, 96), (1, 96)])
def test_a_level_is_that_of_the_picture_alone_and_0_beside_it(task, size):
    high, wide = size
    sample = cut(5, high, wide)
    x = task.inputs().prepare(task.encode([sample]).x)
    alone = task.inputs().prepare(sample.image_CHW[None])
    level = Level()(x)
    torch.testing.assert_close(level[..., :high, :wide], Level()(alone), atol=1e-4, rtol=1e-4)
    assert not level[..., high:, :].any()
    assert not level[..., wide:].any()
    mirrored = Level()(x.flip(3))
    torch.testing.assert_close(mirrored[:, :3], level[:, :3].flip(3), atol=1e-4, rtol=1e-4)


def test_the_level_of_a_full_picture_is_instance_norm_and_its_local_contrast():
    x = torch.randn(2, 3, 40, 33, generator=torch.Generator().manual_seed(0)) * 0.7 + 0.4
    normed = nn.InstanceNorm2d(3)(x)
    wanted = torch.cat([normed, LocalContrast()(normed)], 1)
    torch.testing.assert_close(Level()(x), wanted, atol=1e-4, rtol=1e-4)
    assert not Level()(torch.zeros(1, 3, 8, 8)).any()


def test_pictures_of_several_shapes_in_a_batch_are_told_as_each_alone(task, net):
    samples = [cut(1, 96, 96), cut(2, 96, 30), cut(3, 20, 96), cut(4, 96, 1)]
    x = task.inputs().prepare(task.encode(samples).x)
    with torch.no_grad():
        together, apart = net(x), torch.cat([net(one[None]) for one in x])
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_padding_of_pictures_in_bytes_is_exactly_0(task):
    x = task.inputs().prepare(task.encode([cut(1, 96, 30)]).x)
    assert float(x[..., 30:].abs().max()) < 1e-5


def test_shade_falls_on_the_picture_and_not_beside_it(task):
    batch = task.encode([cut(1, 96, 30), cut(2, 96, 96)])
    shaded = AUGMENTS["shade"](batch, torch.Generator().manual_seed(1))
    assert torch.equal(shaded.x[0, ..., 30:], batch.x[0, ..., 30:])
    moved = (shaded.x != batch.x).float().mean((1, 2, 3))
    assert float(moved[0]) > 0.25
    assert float(moved[1]) > 0.6


def test_where_0_is_a_level_of_the_pictures_nothing_is_taken_for_padding():
    black = torch.zeros(1, 3, 32, 32)
    black[..., 10:20, 8:24] = torch.rand(1, 3, 10, 16)
    level = Level()
    assert not level(black)[..., 0, 0].any()
    level.padded = False
    normed = nn.InstanceNorm2d(3)(black)
    torch.testing.assert_close(level(black)[:, :3], normed, atol=1e-4, rtol=1e-4)


def test_the_frame_of_a_batch_is_where_its_level_is(task):
    batch = task.encode([cut(1, 96, 30)])
    inner = Letterbox((96, 30), (SIDE, SIDE)).inner
    level = Level()(task.inputs().prepare(batch.x))
    assert tuple(int(v) + 1 for v in level[0].any(0).nonzero().amax(0)) == inner


def test_an_exported_graph_sees_the_padding_of_each_picture_of_any_batch(task, net):
    samples = [cut(1, 96, 96), cut(2, 96, 30), cut(3, 20, 96)]
    x = task.inputs().prepare(task.encode(samples).x)
    batch = {0: torch.export.Dim("batch", min=1)}
    graph = torch.export.export(net, (x[:2],), dynamic_shapes=(batch,)).module()
    with torch.no_grad():
        for some in (x, x[1:2]):
            torch.testing.assert_close(graph(some), net(some), atol=1e-4, rtol=1e-4)


def flat(task, high, wide, i=0):
    """A picture of the very colour that pads, with a small thing on it."""
    image = padding_level(task.inputs(), torch.uint8)[:, None, None].repeat(1, high, wide)
    image[:, high // 3 : high // 2, wide // 3 : wide // 2] += 12
    return Sample(image, Target(semantic_HW=torch.zeros(high, wide, dtype=torch.int64)), i)


class Spy(nn.Module):
    """What it is fed, and of it nothing is said."""

    def forward(self, x):
        self.fed = x
        return x.new_zeros(len(x), 7, *x.shape[2:])


FLAT = [(96, 96), (96, 40), (30, 96)]


def test_a_ground_of_the_paddings_colour_is_picture_and_moved_by_one_level(task):
    samples = [flat(task, *size) for size in FLAT]
    batch = task.encode(samples)
    taken = Placed.of(task.inputs().prepare(batch.x)).inside(batch.x)
    assert torch.equal(taken.bool(), inside(batch))
    for x, sample in zip(batch.x, samples, strict=True):
        moved = x[:, : sample.size[0], : sample.size[1]].int() - sample.image_CHW.int()
        assert int(moved.abs().max()) == 1
        assert not moved[1:].any()


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 0.25), (300.0, 200.0), (3e4, 9e3), (1e6, 1e-3), (-2.0, 1.0)]
)
def test_floats_of_any_range_are_fed_alike_to_learn_and_to_predict(task, mean, std):
    inputs = {"channels": 1, "height": 32, "width": 32, "mean": [mean], "std": [std]}
    task = Segment({**task.spec, "inputs": {**inputs, "pixels": "own"}})
    image = torch.full((1, 16, 32), mean)
    image[:, 8:] += std
    batch = task.encode([Sample(image, Target(semantic_HW=torch.zeros(16, 32).long()))])
    x, spy = task.inputs().prepare(batch.x), Spy()
    assert torch.equal(Placed.of(x).inside(x).bool(), inside(batch))
    task.loss(spy, replace(batch, x=x))
    torch.testing.assert_close(spy.fed, x)


@pytest.mark.parametrize("words", ["off", *registry.collect("snellen.data.augment", "AUGMENTS")])
def test_a_network_learns_from_what_is_padded_where_its_picture_lies(task, words):
    samples = [flat(task, *FLAT[i % 3], i) for i in range(12)] + [cut(1, 96, 30), cut(2, 20, 96)]
    batch = compose(words).fit(SCENES)(task.encode(samples), torch.Generator().manual_seed(0))
    told = inside(batch)
    spy = Spy()
    task.loss(spy, replace(batch, x=task.inputs().prepare(batch.x)))
    assert torch.equal(Placed.of(spy.fed).inside(spy.fed).bool(), told)
    assert torch.equal((spy.fed == 0).all(1, keepdim=True), ~told)


@pytest.mark.parametrize("words", ["flip", "vflip", "rot90", "crop", "window", "rotate", "affine"])
def test_the_extent_follows_its_picture(task, words):
    batch = task.encode([cut(i, *FLAT[i % 3]) for i in range(12)])
    there = {"masks": inside(batch)}  # which move pixel by pixel
    moved = compose(words)(replace(batch, y=there), torch.Generator().manual_seed(0))
    told, there = inside(moved), moved.y["masks"]
    assert not (there & ~told).any()
    if words in ("rotate", "affine"):  # told is the box around it
        assert float(there.sum() / told.sum()) > 0.6
    else:
        assert torch.equal(there, told)


def test_shade_makes_no_picture_brighter_and_no_wave_stronger_by_its_padding(task):
    samples = [flat(task, *FLAT[i % 3], i) for i in range(30)]
    batch = task.encode(samples)
    batch = replace(batch, x=batch.x.float() * 10)
    change = AUGMENTS["shade"](batch, torch.Generator().manual_seed(0)).x - batch.x
    there = inside(batch)
    assert not (change * ~there).any()
    mean = (change * there).sum((1, 2, 3)) / (3 * there.sum((1, 2, 3)))
    assert float(mean.abs().max()) < 1e-3
    touched = ((change != 0) & there).float().sum((1, 2, 3)) / (3 * there.sum((1, 2, 3)))
    assert float(touched.min()) > 0.9
    spread = torch.stack([s.image_CHW.float().std(correction=0) * 10 for s in samples])
    reach = (change.amax((1, 2, 3)) - change.amin((1, 2, 3))) / spread
    assert float(reach.max()) < 2.6  # bicubic: a little beyond its knots


def test_what_is_held_in_memory_keeps_where_its_pictures_lie(task):
    wide = Segment({**task.spec, "inputs": {**task.spec["inputs"], "width": 120}})
    held = Held(SCENES, wide).select(torch.tensor([2, 0]))
    assert held.extent_B4.tolist() == [[0.0, 0.0, 96.0, 96.0]] * 2
    assert held.x.shape[-2:] == (96, 120)
