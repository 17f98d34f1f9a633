"""A picture that does not fill its input is answered as if it did: padding tells nothing."""

import pytest
import torch
from torch import nn

import snellen as sn
from snellen.data.augment.shade import AUGMENTS
from snellen.data.letterbox import Letterbox
from snellen.data.sample import Sample, Target
from snellen.data.source import Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.models.unet import Level
from snellen.nn.local_contrast import LocalContrast
from snellen.tasks.segment import Segment

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
