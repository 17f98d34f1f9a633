"""Augmentations against per-sample references, by their laws and by their statistics."""

import sys

import numpy as np
import pytest
import torch
from torch import Generator
from torch.utils._python_dispatch import TorchDispatchMode

from snellen.core import registry
from snellen.core.errors import UnknownName
from snellen.data.augment import compose
from snellen.data.augment._follow import follow
from snellen.data.augment._geometry import invert, move_points, resample
from snellen.data.augment.affine import draw_matrices
from snellen.data.sample import Batch

AUGMENTS = registry.collect("snellen.data.augment", "AUGMENTS")


def batch_of(x, **y):
    return Batch(x, y, torch.arange(len(x)), torch.tensor([x.shape[-2:]] * len(x)))


def seeded(seed=0):
    return Generator().manual_seed(seed)


def pictures(kind=torch.uint8, count=16, channels=3, size=(20, 24)):
    x = torch.rand(count, channels, *size, generator=seeded(5))
    return (x * 255).to(torch.uint8) if kind == torch.uint8 else x.to(kind)


@pytest.mark.parametrize("name", sorted(AUGMENTS))
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_contract(name, kind):
    augment = AUGMENTS[name]
    batch = batch_of(pictures(kind, size=(40, 48)), label_B=torch.arange(16))
    before, state = batch.x.clone(), torch.get_rng_state()
    out = augment(batch, seeded())
    assert (batch.x == before).all()
    assert (torch.get_rng_state() == state).all()
    assert (out.x.shape == batch.x.shape) != augment.resizes
    assert (out.x.shape[:2], out.x.dtype) == (batch.x.shape[:2], batch.x.dtype)
    assert (out.y["label_B"] == batch.y["label_B"]).all()
    assert (out.index_B == batch.index_B).all()
    assert (augment(batch, seeded()).x == out.x).all()
    if name not in ("centre", "multiscale"):  # which draw nothing, and one size a batch
        assert (augment(batch, seeded(1)).x != out.x).any()
    assert augment.name == name
    assert augment.about


class Drawn(TorchDispatchMode):
    """Keeps the size of the largest tensor that comes from the generator of the CPU."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if "rand" in str(function) and out.device.type == "cpu":
            self.largest = max(self.largest, out.numel())
        return out


@pytest.mark.parametrize("device", ["meta"] + ["cuda"] * torch.cuda.is_available())
@pytest.mark.parametrize("name", sorted(set(AUGMENTS) - {"lighting"}))
def test_no_draw_as_large_as_the_pictures_is_made_on_another_device(name, device):
    x = pictures(torch.float32, size=(40, 48)).to(device)
    with Drawn() as drawn:
        out = AUGMENTS[name](batch_of(x), seeded())
    assert out.x.device.type == device
    assert drawn.largest < 0.01 * x.numel()


@pytest.mark.parametrize("name", sorted(set(AUGMENTS) - {"lighting"}))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_samples_do_not_touch_each_other(name, channels):
    """NaN in one picture stays in that picture: else the doctor could not name it."""
    x = pictures(torch.float32, channels=channels, size=(40, 48))
    clean = AUGMENTS[name](batch_of(x), seeded()).x
    x[3] = float("nan")
    spoilt = AUGMENTS[name](batch_of(x), seeded()).x
    others = torch.arange(16) != 3
    assert (spoilt[others] == clean[others]).all()


def test_compose_words():
    batch = batch_of(pictures())
    for word in ("off", None, "", "none"):
        assert compose(word)(batch, seeded()) is batch
    generator = seeded()
    by_hand = AUGMENTS["crop"](AUGMENTS["flip"](batch, generator), generator)
    assert (compose("flip + crop")(batch, seeded()).x == by_hand.x).all()
    with pytest.raises(UnknownName, match="did you mean affine"):
        compose("flip+afine")


@pytest.mark.parametrize(("name", "axis"), [("flip", -1), ("vflip", -2)])
def test_flip_mirrors_half(name, axis):
    x = pictures(count=2000, channels=1, size=(3, 4))
    out = AUGMENTS[name](batch_of(x), seeded()).x
    turned = (out == x.flip(axis)).flatten(1).all(1)
    kept = (out == x).flatten(1).all(1)
    assert (turned | kept).all()
    assert 900 < int(turned.sum()) < 1100  # 1000 expected, deviation 22


def test_crop_is_a_uniform_shift_of_whole_pixels():
    x = torch.zeros(20000, 1, 16, 16, dtype=torch.uint8)
    x[:, :, 8, 8] = 255
    out = AUGMENTS["crop"](batch_of(x), seeded()).x
    places = out.flatten(1).argmax(1)
    rows, cols = places // 16 - 8, places % 16 - 8
    assert set(rows.tolist()) == set(cols.tolist()) == set(range(-2, 3))
    counts = torch.bincount((rows + 2) * 5 + cols + 2)
    chi2 = float(((counts - 800) ** 2 / 800).sum())
    assert chi2 < 52  # 24 degrees of freedom, p = 0.001


def test_affine_draws_are_uniform_within_the_limits():
    """Decompose the matrices again: rotation, scale, shear and shift of the middle."""
    size = (20, 40)
    m = draw_matrices(20000, size, seeded()).double()
    a, b, c, d = m[:, :, :2].flatten(1).unbind(1)
    scale, angle = (a.square() + c.square()).sqrt(), torch.atan2(c, a).rad2deg()
    shear = (a * b + c * d) / scale.square()
    middle = torch.tensor([20.0, 10.0]).double()
    shift = (m[:, :, :2] @ middle + m[:, :, 2] - middle) / (middle * 2)
    for value, centre, reach in ((angle, 0, 10), (scale, 1, 0.1), (shear, 0, 0.1),
                                 (shift[:, 0], 0, 0.1), (shift[:, 1], 0, 0.1)):  # fmt: skip
        unit = ((value - centre) / reach).sort().values
        assert float(unit.abs().max()) <= 1 + 1e-5
        ideal = torch.linspace(-1, 1, 20000).double()
        assert float((unit - ideal).abs().max()) < 0.03  # Kolmogorov-Smirnov, p = 0.001 is 0.028
    assert float((a * d - b * c - scale.square()).abs().max()) < 1e-5  # no mirror, area by scale


def test_resample_equals_a_loop_over_pixels():
    x, matrix = torch.rand(1, 1, 7, 9, generator=seeded(1)), draw_matrices(1, (7, 9), seeded(2))
    inverse = invert(matrix)[0].double().numpy()
    source, wanted = x[0, 0].double().numpy(), np.zeros((7, 9))
    for row in range(7):
        for col in range(9):
            u, v = inverse[:, :2] @ [col + 0.5, row + 0.5] + inverse[:, 2] - 0.5
            for i, p in ((int(np.floor(v)), 1 - v % 1), (int(np.floor(v)) + 1, v % 1)):
                for j, q in ((int(np.floor(u)), 1 - u % 1), (int(np.floor(u)) + 1, u % 1)):
                    if 0 <= i < 7 and 0 <= j < 9:
                        wanted[row, col] += p * q * source[i, j]
    assert np.allclose(resample(x, matrix)[0, 0].numpy(), wanted, atol=1e-5)


def test_shade_adds_a_slow_wave_of_light_to_all_channels_alike():
    x = pictures(torch.float32, 200, 3, (40, 48))
    wave = AUGMENTS["shade"](batch_of(x), seeded()).x - x
    deviation = x.std((1, 2, 3), correction=0)
    assert torch.allclose(wave, wave[:, :1].expand_as(wave), atol=1e-6)
    assert float(wave.mean((1, 2, 3)).abs().max()) < 1e-5
    highest = (wave.amax((1, 2, 3)) - wave.amin((1, 2, 3))) / deviation
    assert 1.2 < float(highest.max()) < 2.6  # bicubic: a little beyond its knots
    assert float(highest.min()) < 0.1
    steps = [wave.diff(dim=axis).abs().amax((1, 2, 3)) / deviation for axis in (-1, -2)]
    assert float(torch.stack(steps).max()) < 2 * 2 * 2 / 39  # twice the mean slope of half a side
    assert torch.allclose(AUGMENTS["shade"](batch_of(x + 5), seeded()).x - 5, x + wave, atol=1e-5)


def test_jitter_noise_erase_and_lighting_statistics():
    gray = torch.full((4000, 1, 4, 4), 100.0)
    brightness = AUGMENTS["jitter"](batch_of(gray), seeded()).x[:, 0, 0, 0] / 100
    assert float(brightness.min()) > 0.8 - 1e-6
    assert float(brightness.max()) < 1.2 + 1e-6
    assert abs(float(brightness.std()) - 0.4 / 12**0.5) < 0.005
    middle = torch.full((400, 1, 16, 16), 128, dtype=torch.uint8)
    noise = AUGMENTS["noise"](batch_of(middle), seeded()).x.float() - 128
    assert abs(float(noise.mean())) < 0.15
    assert abs(float(noise.std()) - (12.75**2 + 1 / 12) ** 0.5) < 0.15
    x = pictures(torch.float32, 2000, 1, (20, 20))
    gone = (AUGMENTS["erase"](batch_of(x), seeded()).x != x)[:, 0]
    erased = gone[gone.flatten(1).any(1)]
    assert 900 < len(erased) < 1100
    sides = erased.any(1).sum(1)
    assert (int(sides.min()), int(sides.max())) == (4, 10)
    colours = torch.randn(3000, 3, 1, 1, generator=seeded(3)) * torch.tensor([3.0, 2, 1]).view(
        3, 1, 1
    )
    colours = torch.einsum("ij,bjhw->bihw", torch.rand(3, 3, generator=seeded(4)), colours)
    shift = (AUGMENTS["lighting"](batch_of(colours), seeded()).x - colours)[:, :, 0, 0]
    wanted = colours[:, :, 0, 0].T.cov() * 0.01
    assert float((shift.T.cov() - wanted).abs().max() / wanted.abs().max()) < 0.1


@pytest.mark.parametrize("name", ["flip", "vflip", "crop", "affine"])
def test_boxes_masks_and_keypoints_follow_the_picture(name):
    """A bright rectangle is drawn and moved; where it went is read off the moved picture."""
    x = torch.zeros(32, 1, 64, 80)
    x[:, :, 20:40, 30:60] = 1.0
    box = torch.tensor([[30.0, 20, 60, 40]])
    corners = torch.tensor([[[30.0, 20], [60, 20], [60, 40], [30, 40]]])
    batch = batch_of(
        x,
        boxes_N4=[box.clone() for _ in range(32)],
        masks_NHW=[x[0] > 0 for _ in range(32)],
        semantic_HW=(x[:, 0] > 0).long(),
        keypoints_NK2=[corners.clone() for _ in range(32)],
        visibility_NK=[torch.full((1, 4), 2) for _ in range(32)],
    )
    out = AUGMENTS[name](batch, seeded())
    moved = 0
    for i in range(32):
        seen = out.x[i, 0] > 0.5
        rows, cols = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
        found = torch.tensor([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]).float()
        assert float((out.y["boxes_N4"][i][0] - found).abs().max()) < 1.5
        wrong = out.y["masks_NHW"][i][0] != seen
        assert int(wrong.sum()) <= (60 if name == "affine" else 0)  # an edge pixel here and there
        assert (out.y["semantic_HW"][i] == 1).eq(out.y["masks_NHW"][i][0]).all()
        points = out.y["keypoints_NK2"][i][0]
        hull = torch.cat([points.amin(0), points.amax(0)])
        assert float((hull - out.y["boxes_N4"][i][0]).abs().max()) < 1e-3
        moved += bool((found != box[0]).any())
    assert moved > 10


def test_matrices_undo_each_other_and_points_that_leave_are_hidden():
    m = draw_matrices(8, (30, 50), seeded())
    points = torch.rand(8, 5, 2, generator=seeded(1)) * 30
    for i in range(8):
        back = move_points(move_points(points[i], m[i]), invert(m)[i])
        assert torch.allclose(back, points[i], atol=1e-4)
    out_of_sight = torch.tensor([[[1.0, 0, 100], [0, 1, 0]]])
    batch = batch_of(
        torch.zeros(1, 1, 30, 50),
        boxes_N4=torch.tensor([[[1.0, 1, 5, 5]]]),
        keypoints_NK2=torch.ones(1, 1, 1, 2),
        visibility_NK=torch.full((1, 1, 1), 2),
    )
    out = follow(batch, batch.x, out_of_sight)
    assert out.y["boxes_N4"].tolist() == [[[50.0, 1, 50, 5]]]
    assert out.y["visibility_NK"].tolist() == [[[0]]]


def things_of(count, people=2, joints=3):
    """A batch with all that can be drawn on a picture, as detection and pose tasks give it."""
    x = pictures(count=count, channels=1, size=(16, 24))
    make = seeded(7)
    sizes = [(i * people) % 4 for i in range(count)]
    low = [torch.rand(n, 2, generator=make) * 10 for n in sizes]
    return batch_of(
        x,
        boxes_N4=[torch.cat([a, a + 4], 1) for a in low],
        masks_NHW=[torch.rand(n, 16, 24, generator=make) < 0.5 for n in sizes],
        semantic_HW=torch.randint(0, 5, (count, 16, 24), generator=make),
        keypoints_NK2=[torch.rand(n, joints, 2, generator=make) * 16 for n in sizes],
        visibility_NK=[torch.randint(0, 3, (n, joints), generator=make) for n in sizes],
        mirror_K=torch.tensor([0, 2, 1]).repeat(count, 1),
    )


class Calls(TorchDispatchMode):
    """Counts what is asked of torch."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func not in (torch.ops.aten.select.int, torch.ops.aten.slice.Tensor)  # views
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["flip", "affine", "rot90", "window"])
def test_the_number_of_calls_does_not_grow_with_the_batch(name):
    counts = []
    for size in (8, 32):
        with Calls() as calls:
            AUGMENTS[name](things_of(2), seeded())
            calls.count = 0
            batch = things_of(size)
            made = calls.count
            AUGMENTS[name](batch, seeded())
        counts.append(calls.count - made)
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "name", ["flip", "vflip", "crop", "affine", "rot90", "rotate", "scale", "zoom"]
)
def test_all_at_once_equals_one_by_one(name):
    batch = things_of(12)
    whole, matrices = AUGMENTS[name](batch, seeded()), []
    keep = type(batch)(batch.x, {}, batch.index_B, batch.sizes_B2)
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules[type(AUGMENTS[name]).__module__]
        patch.setattr(module, "follow", lambda b, x, m: matrices.append(m) or b)
        AUGMENTS[name](keep, seeded())
    for i in range(12):
        y = {key: value[i : i + 1] for key, value in batch.y.items()}
        one = follow(batch_of(batch.x[i : i + 1], **y), batch.x[i : i + 1], matrices[0][i : i + 1])
        for key in y:
            assert torch.equal(one.y[key][0], whole.y[key][i]), key
        assert int(one.y["dropped_B"]) == int(whole.y["dropped_B"][i])


@pytest.mark.parametrize("name", ["flip", "vflip"])
@pytest.mark.parametrize("stacked", [True, False])
def test_a_mirrored_left_hand_is_a_right_hand(name, stacked):
    """Key points: nose, left hand, right hand; only the left one is visible."""
    count = 64
    points = torch.tensor([[[10.0, 4], [4, 8], [16, 8]]]).repeat(count, 1, 1, 1)
    seen = torch.tensor([[2, 2, 1]]).repeat(count, 1, 1)
    mirror = torch.tensor([0, 2, 1]).repeat(count, 1)
    given = (points, seen, mirror) if stacked else map(list, (points, seen, mirror))
    names = ("keypoints_NK2", "visibility_NK", "mirror_K")
    batch = batch_of(torch.zeros(count, 1, 20, 20), **dict(zip(names, given, strict=True)))
    out = AUGMENTS[name](batch, seeded()).y
    mirrored = {"flip": [[10.0, 4], [4, 8], [16, 8]], "vflip": [[10.0, 16], [16, 12], [4, 12]]}
    turned = 0
    for i in range(count):
        now = (out["keypoints_NK2"][i][0].tolist(), out["visibility_NK"][i][0].tolist())
        if now[1] == [2, 1, 2]:
            assert now[0] == mirrored[name]
            turned += 1
        else:
            assert now == (points[i, 0].tolist(), [2, 2, 1])
    assert 16 < turned < 48
