"""Up-sampling is its exact matrix; the Dice loss its formula; networks of maps take any size."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.core.errors import UsageError
from snellen.models import describe, layer_table, listing, load_weights, row
from snellen.models._network import replace_head
from snellen.nn.local_contrast import around
from snellen.nn.upsample import BilinearUp, bilinear_, crop

NAMES = listing("segment")


def matrix_of(layer, size):
    """The matrix of a linear map of maps: its answer to each unit map, as columns."""
    count = size[0] * size[1]
    units = torch.eye(count).view(count, 1, *size)
    with torch.no_grad():
        return layer(units).flatten(1).T.numpy()


def along(rows):
    """1-D weights by hand: rows[i][j] is how much output i has of input j."""
    return np.array(rows, np.float32)


def nails(n, s):
    return along([[float(i == s * j) for j in range(n)] for i in range(n * s)])


def repeated(n, s):
    return along([[float(i // s == j) for j in range(n)] for i in range(n * s)])


def triangle(n, s):
    """Between centres of pixels; beyond the edge nothing."""
    places = [(i + 0.5) / s - 0.5 for i in range(n * s)]
    return along([[max(0.0, 1 - abs(p - j)) for j in range(n)] for p in places])


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("size", [(3, 3), (1, 4), (5, 2)])
@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda s: lambda x: sn.nn.bed_of_nails(x, s), nails),
        (lambda s: nn.Upsample(scale_factor=s), repeated),
        (lambda s: BilinearUp(1, s), triangle),
    ],
)
def test_upsampling_is_its_matrix(make, rule, size, stride):
    """An up-sampling that treats rows and columns alike is a Kronecker product."""
    by_hand = np.kron(rule(size[0], stride), rule(size[1], stride))
    np.testing.assert_allclose(matrix_of(make(stride), size), by_hand, atol=1e-7)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 1)])
def test_max_unpooling_is_the_transpose_of_the_choice(kernel, stride):
    """Pooling chooses: a 0/1 matrix with a one a row. Unpooling is its transpose, exactly."""
    x = torch.randperm(42).float().view(1, 1, 6, 7)
    pooled, indices = F.max_pool2d(x, kernel, stride, return_indices=True)
    choice = np.zeros((pooled.numel(), x.numel()), np.float32)
    for i, value in enumerate(pooled.flatten().tolist()):
        choice[i, x.flatten().tolist().index(value)] = 1
    np.testing.assert_array_equal(choice @ x.flatten().numpy(), pooled.flatten().numpy())
    place = indices.expand(pooled.numel(), -1, -1, -1)
    size = (pooled.shape[-2], pooled.shape[-1])
    unpooling = matrix_of(lambda u: sn.nn.unpool_maxima(u, place, (6, 7)), size)
    np.testing.assert_array_equal(unpooling, choice.T)


def test_transposed_convolution_is_the_transpose_of_the_convolution():
    up = BilinearUp(1, 2)
    down = nn.Conv2d(1, 1, 4, 2, 1, bias=False)
    down.weight.data = up.conv.weight.data
    np.testing.assert_allclose(matrix_of(up, (3, 5)), matrix_of(down, (6, 10)).T, atol=1e-7)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8])
def test_bilinear_weights_are_the_papers_and_keep_channels_apart(size):
    """Kernels as in the paper's own code: 1 - |i - centre| / factor, factor = (size + 1) // 2."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - np.abs(np.arange(size) - centre) / factor
    weight = bilinear_(torch.full((3, 3, size, size), 7.0))
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(weight[i, j], np.outer(line, line) * (i == j), atol=1e-7)
    np.testing.assert_allclose(bilinear_(torch.empty(3, 1, size, size))[2, 0], weight[1, 1])


def test_inside_it_is_torchs_bilinear_interpolation():
    x = torch.randn(2, 3, 6, 7)
    inner = F.interpolate(x, scale_factor=2.0, mode="bilinear")[..., 1:-1, 1:-1]
    torch.testing.assert_close(BilinearUp(3)(x)[..., 1:-1, 1:-1], inner)


def test_what_cannot_be_upsampled_is_refused():
    for wrong in (0, 1, 3):
        with pytest.raises(UsageError, match="even"):
            BilinearUp(2, wrong)
    with pytest.raises(UsageError, match="leads no channel"):
        bilinear_(torch.empty(4, 3, 4, 4))
    with pytest.raises(UsageError, match="cannot be cut"):
        crop(torch.zeros(1, 1, 4, 4), (5, 4))


def test_dice_loss_is_its_formula_and_knows_no_void():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=random, requires_grad=True)
    true = torch.randint(3, (2, 5, 6), generator=random)  # class 3 does not occur
    true[0, :2] = 255
    seen = (true != 255).flatten()
    said = logits.softmax(1).movedim(1, -1).reshape(-1, 4)[seen]
    one = F.one_hot(true.flatten()[seen], 4)
    dice = (2 * (said * one).sum(0) / (said.sum(0) + one.sum(0)))[:3]
    loss = sn.nn.dice_loss(logits, true)
    torch.testing.assert_close(loss, 1 - dice.mean())
    loss.backward()
    assert (logits.grad[0, :, :2] == 0).all()
    nothing = sn.nn.dice_loss(logits, torch.full_like(true, 255))
    assert nothing == 0
    nothing.backward()
    assert logits.grad.isfinite().all()


# Networks -------------------------------------------------------------------------------------


def thin(name, classes=3, **more):
    torch.manual_seed(0)
    return sn.model(name, classes=classes, **{"channels": 3, **row(name).thin, **more})


@pytest.mark.parametrize("size", [(33, 47), (64, 32), (49, 50)])
@pytest.mark.parametrize("name", NAMES)
def test_maps_have_the_pictures_size_odd_ones_too(name, size):
    net = thin(name)
    for mode in (net.train(), net.eval()):
        with torch.no_grad():
            assert mode(torch.zeros(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_and_a_picture_is_its_own(name):
    net, x = thin(name), torch.randn(3, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    out = net(x)
    (out.square().mean() + sum(a.square().mean() for a in net.aux_logits)).backward()
    for parameter, value in net.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
    with torch.no_grad():
        whole, alone = net.eval()(x), net(x[1:2])
    torch.testing.assert_close(alone[0], whole[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_moved_picture_moves_its_map(name):
    """A shift by the coarsest cell: a map that lies half a cell off would not follow."""
    net = thin(name).eval()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_var.uniform_(0.5, 1.5)
    x = torch.zeros(1, 3, 224, 224)
    x[..., 96:128, 96:128] = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        still, moved = net(x), net(x.roll((32, 32), (2, 3)))
    middle = slice(96, 160)
    torch.testing.assert_close(moved[..., middle, middle], still[..., 64:128, 64:128],
                               atol=1e-4, rtol=1e-3)  # fmt: skip
    assert still[..., 64:128, 64:128].std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_counted_and_other_classes_change_the_last_layers_alone(name):
    assert {k: describe(name)[k] for k in ("params", "macs")} == {
        k: describe(name, classes=row(name).classes)[k] for k in ("params", "macs")
    }
    assert sum(line["macs"] for line in layer_table(name)) == row(name).macs
    net = replace_head(thin(name), 5)
    again = thin(name, 5)
    assert [v.shape for v in net.state_dict().values()] == [
        v.shape for v in again.state_dict().values()
    ]
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 5, 32, 32)


@pytest.mark.parametrize(("name", "total", "alone"), [
    ("fcn_resnet50", 35_322_218, 32_957_013), ("fcn_resnet101", 54_314_346, 51_949_141),
])  # fmt: skip
def test_fcn_with_its_auxiliary_head_has_torchvisions_size(name, total, alone):
    told = describe(name, aux=True)
    assert (told["params"], told["params_without_aux"]) == (total, alone)


def test_unet_has_the_papers_size():
    """23 convolutions: 3x3 with bias two a level either way, 2x2 up, 1x1 at the end."""
    widths = (64, 128, 256, 512, 1024)
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in zip((1, *widths), widths, strict=False))
    up = sum(4 * b * a + a + 9 * 2 * a * a + a + 9 * a * a + a
             for a, b in pairwise(widths))  # fmt: skip
    assert row("paper:unet").params == down + up + 64 * 2 + 2


def test_fcn_enlarges_by_its_skips():
    net = thin("paper:fcn8s_vgg16")
    assert [type(part[0]).__name__ for part in net.head.outs] == ["Conv2d"] * 3 + ["BilinearUp"] * 2
    assert [thin(f"paper:fcn{s}s_vgg16").head.stride for s in (32, 16, 8)] == [32, 16, 8]


def test_unpooling_crosses_by_places_alone():
    """Where the picture's maxima stand decides where values go: two pictures, other places."""
    net = thin("segnet-small").eval()
    assert not any(isinstance(m, nn.Upsample | nn.ConvTranspose2d) for m in net.modules())
    torch.manual_seed(1)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        full = net(x)
        held = net.features(x)
        held["block1"] = held["block1"].flip(-1)  # the same values elsewhere
        assert not torch.allclose(net.head(list(held.values())), full)


def test_weights_of_a_network_with_an_auxiliary_head_fit_one_without(tmp_path):
    other = thin("fcn_resnet50", 5, aux=True)
    file = tmp_path / "w.pth"
    torch.save(other.state_dict(), file)
    net = thin("fcn_resnet50")
    notes = load_weights(net, file)
    assert any("aux" in note for note in notes)
    assert torch.equal(net.stem.conv.weight, other.stem.conv.weight)


# Uneven light -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "window"), [((20, 24), 9), ((17, 30), 7), ((9, 4), 5), ((3, 1), 9), ((4, 5), 1)]
)
def test_surroundings_are_means_of_squares_blended_in_between(size, window):
    x = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    step, half = max(1, window // 2), window // 2
    padded = np.pad(x[0, 0].numpy(), 4 * window, mode="edge")

    def mean_at(row, column):
        top, left = row - half + 4 * window, column - half + 4 * window
        return padded[top : top + window, left : left + window].mean()

    places = [np.arange(0, side + step, step) for side in size]
    means = np.array([[mean_at(r, c) for c in places[1]] for r in places[0]])
    across = np.array([np.interp(np.arange(size[1]), places[1], row) for row in means])
    wanted = np.array([np.interp(np.arange(size[0]), places[0], column) for column in across.T]).T
    assert around(x, window)[0, 0].numpy() == pytest.approx(wanted, abs=1e-5)


def test_local_contrast_sees_things_under_a_light_ten_times_as_bright():
    """One threshold for the picture finds dots on a slope of light only after it."""
    rows, columns = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
    dots = ((rows % 16 - 8) ** 2 + (columns % 16 - 8) ** 2 < 9).float()
    lit = (10 * dots + 100 * columns / 128)[None, None]

    def best(seen):
        levels = seen.quantile(torch.linspace(0.02, 0.98, 97))
        hits = torch.stack([(seen > level).float() for level in levels])
        both = 2 * (hits * dots).sum((-2, -1)) / (hits.sum((-2, -1)) + dots.sum())
        return float(both.max())

    contrast = sn.nn.LocalContrast(33)
    assert best(lit[0, 0]) < 0.4
    assert best(contrast(lit)[0, 0]) > 0.9
    other = contrast(3 * lit + 40)
    assert torch.allclose(contrast(lit), other, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (40, 33)])
def test_local_contrast_of_an_even_picture_is_0_at_any_size(size):
    for value in (0.0, 255.0):
        assert not sn.nn.LocalContrast()(torch.full((2, 3, *size), value)).any()
    assert sn.nn.LocalContrast()(torch.zeros(0, 3, *size)).shape == (0, 3, *size)
    for window in (0, 32):
        with pytest.raises(UsageError, match=f"window={window}"):
            sn.nn.LocalContrast(window)


def test_surroundings_lie_evenly_around_each_place():
    """A slope is its own surroundings away from the edge; a mirrored picture's are mirrored."""
    slope = torch.arange(129.0).expand(1, 1, 129, 129)
    inner = (around(slope, 33) - slope)[..., 16:-16]
    assert inner.abs().max() < 1e-4
    x = torch.rand(1, 2, 65, 97, generator=torch.Generator().manual_seed(0))  # sides of 16 n + 1
    contrast = sn.nn.LocalContrast()
    assert torch.allclose(contrast(x.flip(-1)).flip(-1), contrast(x), atol=1e-5)


def test_the_usual_network_sees_a_darker_picture_of_the_same_things_alike():
    torch.manual_seed(0)
    net = thin("unet-small").eval()
    x = torch.rand(1, 3, 40, 33)
    with torch.no_grad():
        seen = net(x)
        assert torch.allclose(net(0.3 * x - 0.2), seen, atol=1e-2 * float(seen.abs().max()))
        assert not torch.allclose(net(x.flip(-1)), seen, atol=1e-2 * float(seen.abs().max()))
