"""Windows, scales, sizes, colours, noise and test-time crops by their laws and statistics."""

from types import SimpleNamespace

import pytest
import torch
from torch import Generator, nn

import snellen as sn
from snellen.core.errors import UsageError
from snellen.data.augment import compose
from snellen.data.augment import scale as scaling
from snellen.data.augment.jitter import Lighting
from snellen.data.augment.multiscale import EVERY, MultiScale, sizes
from snellen.data.augment.noise import Noise
from snellen.data.augment.rotate import about_middle, turn
from snellen.data.augment.views import five_crops, over_views, ten_crops
from snellen.data.augment.window import Window
from snellen.data.open import open_data
from snellen.data.sample import Batch
from snellen.data.sets import ArraySet
from snellen.data.statistics import colour_covariance
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute
from snellen.train.recipe import Recipe
from snellen.train.session import make_loop


def seeded(seed=0):
    return Generator().manual_seed(seed)


def batch_of(x, step=0, **y):
    index, size = torch.arange(len(x)), torch.tensor([x.shape[-2:]] * len(x))
    return Batch(x, y, index, size, step=step)


def matrices(word, count, size, monkeypatch):
    """The moves that an augmentation draws, off the place where they are handed on."""
    seen, step = [], compose(word).steps[0]
    module = type(step).__module__
    monkeypatch.setattr(f"{module}.follow", lambda b, x, m: seen.append(m) or b)
    step(batch_of(torch.zeros(count, 1, *size)), seeded())
    return seen[0].double()


def furthest_from_uniform(values):
    """Kolmogorov-Smirnov against 0..1."""
    ordered = values.sort().values
    return float((ordered - torch.linspace(0, 1, len(values)).double()).abs().max())


def test_windows_lie_inside_and_are_uniform():
    """Every pixel has its own value, so a window's place is its first pixel."""
    x = torch.arange(80, dtype=torch.int32).view(1, 1, 8, 10).repeat(4000, 1, 1, 1)
    out = Window((5, 7))(batch_of(x), seeded()).x
    top, left = out[:, 0, 0, 0] // 10, out[:, 0, 0, 0] % 10
    assert out.shape == (4000, 1, 5, 7)
    assert torch.equal(out, torch.stack([x[0, :, t : t + 5, v : v + 7]
                                         for t, v in zip(top, left, strict=True)]))  # fmt: skip
    counts = torch.bincount(top * 4 + left, minlength=16)
    assert len(counts) == 16  # 4 x 4 places, none outside
    assert float(((counts - 250) ** 2 / 250).sum()) < 38  # 15 degrees of freedom, p = 0.001
    whole = Window((8, 10))(batch_of(x), seeded()).x
    assert torch.equal(whole, x)


def test_the_middle_is_the_middle_and_a_window_that_does_not_fit_is_refused():
    x = torch.arange(100).view(1, 1, 10, 10)
    assert torch.equal(Window((4, 6), centred=True)(batch_of(x), seeded()).x, x[..., 3:7, 2:8])
    assert compose("centre")(batch_of(torch.zeros(1, 3, 256, 256)), seeded()).x.shape[-1] == 224
    with pytest.raises(UsageError, match="12 x 4 does not fit into pictures of 10 x 10"):
        Window((12, 4))(batch_of(x), seeded())


def test_scales_are_log_uniform_about_the_middle(monkeypatch):
    m = matrices("scale", 5000, (20, 40), monkeypatch)
    middle = torch.tensor([20.0, 10.0]).double()
    assert torch.allclose(m[:, :, :2] @ middle + m[:, :, 2], middle, atol=1e-5)
    factor = m[:, 0, 0]
    assert torch.equal(m[:, 1, 1], factor)
    share = (factor.log() / torch.tensor(scaling.LARGEST).double().log() + 1) / 2
    assert 0 <= float(share.min()) < float(share.max()) <= 1 + 1e-6
    assert furthest_from_uniform(share) < 0.028  # p = 0.001


def test_turns_are_uniform_and_keep_lengths(monkeypatch):
    m = matrices("rotate", 5000, (20, 40), monkeypatch)
    linear = m[:, :, :2]
    assert torch.allclose(linear @ linear.mT, torch.eye(2).double().expand(5000, 2, 2), atol=1e-5)
    degrees = torch.atan2(m[:, 1, 0], m[:, 0, 0]).rad2deg()
    assert furthest_from_uniform((degrees + 30) / 60) < 0.028


def test_zoom_windows_lie_inside_and_have_their_area_and_aspect(monkeypatch):
    height, width = 6, 8  # which the draws do not go by
    m = matrices("zoom", 5000, (height, width), monkeypatch)
    share = 1 / torch.stack([m[:, 0, 0], m[:, 1, 1]], 1)
    corner = -m[:, :, 2] * share / torch.tensor([width, height])
    assert float(corner.min()) > -1e-6
    assert float((corner + share).max()) < 1 + 1e-6
    area, aspect = share.prod(1), share[:, 0] / share[:, 1]
    free = share.amax(1) < 1  # one that would be wider than the picture is as wide as it is
    assert float(free.double().mean()) > 0.8
    assert float(area.max()) <= 1 + 1e-6
    assert float(area[free].min()) >= 0.35 - 1e-6
    assert 3 / 4 - 1e-5 < float(aspect.min()) < float(aspect.max()) < 4 / 3 + 1e-5


def test_nothing_black_comes_in_by_a_zoom_not_even_at_the_edges():
    x = torch.full((64, 1, 20, 20), 7.0)
    assert torch.allclose(compose("zoom")(batch_of(x), seeded()).x, x)


def test_multiscale_draws_the_papers_sizes_every_ten_batches():
    assert sizes(416, 416) == [(n, n) for n in range(320, 609, 32)]
    augment, drawn = MultiScale(), []
    x = torch.zeros(2, 1, 96, 128, dtype=torch.uint8)
    for step in range(400):
        out = augment(batch_of(x, step), seeded(5)).x
        assert out.shape[2] % 32 == out.shape[3] % 32 == 0
        drawn.append(tuple(out.shape[2:]))
    blocks = [drawn[i : i + EVERY] for i in range(0, 400, EVERY)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert {block[0] for block in blocks} == {(96, 128), (128, 160)}
    other = [augment(batch_of(x, step), seeded(6)).x.shape[2] for step in range(0, 400, 10)]
    assert other != [block[0][0] for block in blocks]
    with pytest.raises(UsageError, match="8 x 8 are too small"):
        augment(batch_of(torch.zeros(1, 1, 8, 8)), seeded())


def test_multiscale_goes_by_the_seed_and_the_step_so_a_resumed_training_does():
    """Draws of other augmentations, and a saved and restored generator, leave the size alone."""
    x, generator = torch.zeros(1, 1, 320, 320), seeded(2**62 + 3)
    fresh = [MultiScale()(batch_of(x, step), generator).x.shape for step in range(0, 100, 10)]
    torch.rand(7, generator=generator)
    resumed = Generator()
    resumed.set_state(generator.get_state())
    again = [MultiScale()(batch_of(x, step), resumed).x.shape for step in range(0, 100, 10)]
    assert fresh == again
    assert len(set(fresh)) > 2


def test_noise_has_the_mean_and_variance_asked_for():
    x = torch.full((64, 3, 32, 32), 100.0)
    x[:, :, 0, 0], x[:, :, 0, 1] = 0.0, 200.0  # a range of 200
    added = (Noise(0.05, mean=0.1)(batch_of(x), seeded()).x - x).double()
    count = added.numel()
    assert abs(float(added.mean()) - 20) < 4 * 10 / count**0.5
    assert abs(float(added.var()) - 100) < 4 * 100 * (2 / count) ** 0.5
    pairs = torch.corrcoef(added.flatten(1)[:8])
    assert float((pairs - torch.eye(8)).abs().max()) < 0.1  # each pixel a draw of its own


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_lighting_has_a_hundredth_of_the_training_parts_covariance(kind):
    mix = torch.tensor([[3.0, 1, 0], [1, 2, 0.5], [0, 0.5, 1]])
    colours = torch.einsum("ij,bjhw->bihw", mix, torch.randn(200, 3, 8, 8, generator=seeded(1)))
    pixels = (colours * 8 + 128).clamp(0, 255).to(kind)
    train = ArraySet(pixels, torch.zeros(200, dtype=torch.int64))
    covariance = colour_covariance(train)
    wide = pixels.double().movedim(1, -1).reshape(-1, 3) / (255 if kind == torch.uint8 else 1)
    assert torch.allclose(covariance, torch.cov(wide.T, correction=0), rtol=1e-9)
    gray = torch.full((20000, 3, 1, 1), 0.5)
    shift = (Lighting(covariance)(batch_of(gray), seeded()).x - gray)[:, :, 0, 0].double()
    wanted = covariance * 0.01
    assert float((shift.T.cov() - wanted).abs().max() / wanted.abs().max()) < 0.04
    assert float(shift.mean(0).abs().max()) < 0.03 * float(wanted.diagonal().max().sqrt())


def test_lighting_shifts_uint8_pictures_as_much_as_the_same_in_0_to_1():
    covariance = torch.diag(torch.tensor([0.04, 0.09, 0.01], dtype=torch.float64))
    bytes_ = torch.full((20000, 3, 1, 1), 128, dtype=torch.uint8)
    shift = (Lighting(covariance)(batch_of(bytes_), seeded()).x.double() - 128)[:, :, 0, 0] / 255
    wanted = covariance * 0.01
    assert float((shift.T.cov() - wanted).abs().max() / wanted.abs().max()) < 0.04


def test_a_training_fits_lighting_to_its_training_part():
    source = open_data("shapes")
    fitted = compose("flip+lighting").fit(source.train)
    assert fitted.name == "flip+lighting"
    assert torch.equal(fitted.steps[1].covariance_CC, colour_covariance(source.train))
    assert compose("lighting").steps[0].covariance_CC is None  # the registered one is as it was
    given = Lighting(torch.eye(3))
    assert given.fit(source.train) is given
    job = SimpleNamespace(
        recipe=Recipe(augment="lighting"), net=nn.Linear(1, 1), source=source,
        compute=Compute.of("cpu"), train=SimpleNamespace(steps=1),
        task=SimpleNamespace(phases=lambda net: []),
    )  # fmt: skip
    assert torch.equal(make_loop(job).augment.steps[0].covariance_CC,
                       colour_covariance(source.train))  # fmt: skip


def test_ten_crops_equal_slices():
    x = torch.rand(3, 2, 9, 12, generator=seeded())
    views = ten_crops(x, (4, 5))
    places = [(0, 0), (0, 7), (5, 0), (5, 7), (2, 3)]
    for i, (top, left) in enumerate(places):
        part = x[:, :, top : top + 4, left : left + 5]
        assert torch.equal(views[:, i], part)
        assert torch.equal(views[:, i + 5], part.flip(-1))
    assert torch.equal(five_crops(x, (4, 5)), views[:, :5])
    with pytest.raises(UsageError, match="does not fit"):
        ten_crops(x, (10, 5))


def test_over_views_is_the_mean_of_probabilities_one_by_one():
    x = torch.rand(3, 10, 2, 4, 5, generator=seeded())
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(40, 6))
    one_by_one = torch.stack([net(x[:, v]).softmax(1) for v in range(10)]).mean(0)
    assert torch.allclose(over_views(net, x), one_by_one, atol=1e-6)


def test_a_turn_about_the_middle_of_an_odd_picture_is_exact():
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert torch.equal(turn(batch_of(x), torch.tensor([1])).x[0], torch.rot90(x[0], 1, (1, 2)))
    assert about_middle(torch.eye(2)[None], (3, 5)).tolist() == [[[1, 0, 0], [0, 1, 0]]]


class AnySize(torch.nn.Module):
    """Takes pictures of any size and notes the sizes of its training."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 4, 3, 4), torch.nn.Linear(4, 2)
        self.sizes = []

    def forward(self, x):
        if self.training:
            self.sizes.append(tuple(x.shape[2:]))
        return self.head(self.conv(x).relu().mean((2, 3)))


def test_a_training_changes_size_every_ten_steps(tmp_path):
    x = (torch.rand(24, 96, 96, generator=seeded()) * 255).to(torch.uint8).numpy()
    y = (torch.arange(24) % 2).numpy()
    net = AnySize()
    sn.train(((x, y), (x, y)), model=net, augment="multiscale", batch=2, epochs=5, speed="off",
             project=str(tmp_path), preflight="off")  # fmt: skip
    steps = net.sizes[-60:]
    assert {len(set(steps[i : i + 10])) for i in range(0, 60, 10)} == {1}
    assert set(steps) == {(96, 96), (128, 128)}


def test_a_training_logs_how_many_things_left_their_pictures(tmp_path, monkeypatch):
    """One box of two pixels in the corner and one in the middle; crop moves by two at most."""
    plain = Classify.encode

    def encode(task, samples):
        batch = plain(task, samples)
        boxes = torch.tensor([[0.0, 0, 2, 2], [6, 6, 10, 10]])
        batch.y["boxes"] = [boxes for _ in samples]
        return batch

    monkeypatch.setattr(Classify, "encode", encode)
    x = torch.randint(0, 256, (800, 16, 16), dtype=torch.uint8, generator=seeded()).numpy()
    data = x, (torch.arange(800) % 2).numpy()
    run = sn.train((data, data), model="lenet5_bn", augment="crop", epochs=1, batch=200,
                   project=str(tmp_path), speed="off", preflight="off")  # fmt: skip
    rows = [line.split(",") for line in (run.path / "metrics.csv").read_text().splitlines()]
    logged = [float(row[4]) for row in rows if row[2:4] == ["train", "things_dropped"]]
    assert len(logged) == 1
    assert abs(logged[0] - 9 / 25) < 0.05  # shifts of -2 in x or in y: 1 - (4 / 5)^2
