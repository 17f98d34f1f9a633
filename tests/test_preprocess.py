"""Preprocessing against scikit-learn and closed forms; nothing is learnt from held-out data."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import MinMaxScaler, StandardScaler, normalize
from sklearn.utils.class_weight import compute_class_weight
from torch import Generator

from snellen.core.errors import DataError, UsageError
from snellen.data import downsample as down
from snellen.data.balance import balanced_rows, class_weights
from snellen.data.decorrelate import principal
from snellen.data.inputs import Inputs, resize
from snellen.data.open import open_data
from snellen.data.scaling import centre, centre_to_range, standardise, to_range, unit_rows
from snellen.data.splits import split_three, stratified_k_fold
from snellen.data.statistics import channel_statistics, colour_covariance

FITS = {"centre": centre, "standardise": standardise, "to_range": to_range,
        "centre_to_range": centre_to_range}  # fmt: skip


def numbers(*shape, seed=0):
    """Uneven, correlated, far from zero."""
    x = torch.rand(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)
    x = x.square() * torch.linspace(1, 9, shape[-1], dtype=torch.float64) + 40
    return x + x.roll(1, -1) / 2


def test_by_feature_equals_scikit_learn():
    x, other = numbers(50, 7), numbers(20, 7, seed=1)
    for mine, theirs in ((standardise(x), StandardScaler()), (to_range(x), MinMaxScaler((-1, 1)))):
        theirs.fit(x.numpy())
        assert np.allclose(mine(x).numpy(), theirs.transform(x.numpy()), atol=1e-10)
        assert np.allclose(mine(other).numpy(), theirs.transform(other.numpy()), atol=1e-10)
        assert torch.allclose(mine.undo(mine(other)), other, rtol=1e-12)
    assert np.allclose(unit_rows(x).numpy(), normalize(x.numpy()), atol=1e-14)


@pytest.mark.parametrize("per", ["feature", "channel", "all"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.uint8])
def test_means_deviations_and_ranges_are_as_promised(per, kind):
    x = (numbers(40, 3, 6, 5) * 3).to(kind)
    axes = {"feature": (0,), "channel": (0, 2, 3), "all": (0, 1, 2, 3)}[per]
    for name, fit in FITS.items():
        out = fit(x, per)(x)
        assert out.dtype == (torch.float32 if kind == torch.uint8 else kind)
        out = out.double()
        if name != "to_range":
            tiny = 1e-6 if name != "centre" else 1e-6 * float(x.double().max())  # float32's step
            assert float(out.mean(axes).abs().max()) < tiny
        if name == "standardise":
            assert float((out.std(axes, correction=0) - 1).abs().max()) < 1e-6
        if name == "to_range":
            assert torch.allclose(out.amin(axes), torch.tensor(-1.0).double(), atol=1e-6)
            assert torch.allclose(out.amax(axes), torch.tensor(1.0).double(), atol=1e-6)
        if name == "centre_to_range":
            assert torch.allclose(out.abs().amax(axes), torch.tensor(1.0).double(), atol=1e-6)


def test_constant_places_and_rows_of_zeros_do_no_harm():
    x = torch.cat([numbers(9, 2), torch.full((9, 1), 0.1, dtype=torch.float64)], 1)
    for fit in FITS.values():
        out = fit(x)(x)
        assert out.isfinite().all()
        assert float(out[:, 2].abs().max()) < 1e-12
    assert unit_rows(torch.zeros(2, 3)).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 2), (2, 3, 4, 4)])
def test_a_sample_of_any_shape_gets_length_one(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 9
    flat = x.flatten(1)
    expected = flat / flat.norm(dim=1, keepdim=True)
    torch.testing.assert_close(unit_rows(x).flatten(1), expected)


def test_nan_and_nothing_are_refused():
    x = numbers(9, 2)
    x[4, 1] = float("nan")
    for fit in FITS.values():
        with pytest.raises(DataError, match=r"1 of 9 training samples hold NaN or Inf.*sample 4"):
            fit(x)
        with pytest.raises(DataError, match="no training samples"):
            fit(x[:0])


def test_samples_of_one_number_each_are_samples():
    x = torch.tensor([1.0, 2.0, 6.0])
    assert standardise(x)(x).mean().abs() < 1e-6
    x[1] = float("nan")
    with pytest.raises(DataError, match="1 of 3 training samples"):
        standardise(x)
    with pytest.raises(UsageError, match="channels"):
        standardise(x.nan_to_num(), per="channel")


@pytest.mark.parametrize("fit", [*FITS.values(), unit_rows, principal])
def test_arrays_are_refused_in_words_and_statistics_carry_no_gradient(fit):
    with pytest.raises(UsageError, match=r"torch\.as_tensor"):
        fit(np.ones((3, 2)))
    found = fit(numbers(9, 2).requires_grad_())
    values = [] if isinstance(found, torch.Tensor) else vars(found).values()
    assert not any(v.requires_grad for v in values if isinstance(v, torch.Tensor))


def test_statistics_do_not_depend_on_the_order_of_memory():
    x = torch.randn(5, 3, 4, 6)
    one, other = (standardise(v, "channel") for v in (x, x.to(memory_format=torch.channels_last)))
    torch.testing.assert_close(one.shift, other.shift)


@pytest.mark.parametrize("per", ["feature", "channel", "all"])
def test_samples_without_numbers_are_refused(per):
    for fit in FITS.values():
        with pytest.raises(DataError, match="no training samples"):
            fit(torch.zeros(3, 0), per)
        with pytest.raises(UsageError, match="single number"):
            fit(torch.tensor(1.0), per)


# ---------------------------------------------------------------- nothing is learnt from held-out


def look_at_train(source):
    """Everything that is measured on data before a training."""
    x = source.train.stacked()
    facts = [torch.tensor(channel_statistics(source.train)), colour_covariance(source.train),
             torch.tensor([Inputs.of(source.train).mean, Inputs.of(source.train).std])]  # fmt: skip
    for fit in FITS.values():
        scaling = fit(x, "channel")
        facts += [scaling.shift, scaling.scale]
    pca = principal(x.flatten(1))
    return [*facts, pca.mean_D, pca.directions_KD, pca.variances_K]


def leaky(source):
    """The mistake of the notes: the mean of the whole data set."""
    both = torch.cat([source.train.stacked(), source.val.stacked()])
    return [standardise(both, "channel").shift]


def depends_on_held_out(look):
    """Whether what `look` measures changes when the held-out pictures do and the others do not."""
    random = np.random.RandomState(0)
    x = random.randint(0, 256, (60, 3, 6, 6)).astype(np.uint8)
    y = np.arange(60) % 3
    first = open_data((x, y), split=0.25, seed=1)
    changed = x.copy()
    changed[first.val.rows] = 255 - changed[first.val.rows] // 3
    second = open_data((changed, y), split=0.25, seed=1)
    assert second.val.rows == first.val.rows
    pairs = zip(look(first), look(second), strict=True)
    return not all(torch.equal(a, b) for a, b in pairs)


def test_statistics_are_of_the_training_part_only():
    assert not depends_on_held_out(look_at_train)


def test_a_leak_would_be_seen():
    assert depends_on_held_out(leaky)


# ----------------------------------------------------------------------------- PCA and whitening


@pytest.mark.parametrize("shape", [(200, 12), (15, 40)])
def test_pca_equals_scikit_learn_up_to_sign(shape):
    x = numbers(*shape)
    mine, theirs = principal(x), PCA(svd_solver="full").fit(x.numpy())
    count = len(mine.variances_K)
    assert count == min(shape[1], shape[0] - 1)
    assert np.allclose(mine.variances_K, theirs.explained_variance_[:count], rtol=1e-9)
    assert np.allclose(mine.explained_K, theirs.explained_variance_ratio_[:count], rtol=1e-9)
    aligned = np.abs((mine.directions_KD.numpy() * theirs.components_[:count]).sum(1))
    assert np.allclose(aligned, 1, atol=1e-8)
    assert np.allclose(mine.project(x).abs(), np.abs(theirs.transform(x.numpy())[:, :count]),
                       atol=1e-8)  # fmt: skip
    assert float(mine.project(x).mean(0).abs().max()) < 1e-10
    assert torch.allclose(mine.rebuild(mine.project(x)), x, atol=1e-8)
    few, same = principal(x, keep=3), PCA(3, svd_solver="full").fit(x.numpy())
    error = (few.rebuild(few.project(x)) - x).square().sum()
    theirs_back = same.inverse_transform(same.transform(x.numpy()))
    assert np.isclose(float(error), ((theirs_back - x.numpy()) ** 2).sum())


def test_the_notes_svd_of_the_covariance_gives_the_same():
    x = numbers(100, 6)
    apart = x - x.mean(0)
    directions, variances, _ = torch.linalg.svd(apart.T @ apart / (len(x) - 1))
    mine = principal(x)
    assert torch.allclose(mine.variances_K, variances, rtol=1e-9)
    assert torch.allclose((mine.directions_KD @ directions).abs(), torch.eye(6).double(), atol=1e-7)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_whitened_covariance_is_the_identity(kind):
    from sklearn.datasets import load_digits

    x = torch.tensor(load_digits().data).to(kind)  # three pixels are always black
    pca = principal(x)
    assert len(pca.variances_K) == 61
    white = pca.whiten(x)
    assert white.dtype == kind
    covariance = white.double().T.cov()
    assert float((covariance - torch.eye(61)).abs().max()) < 1e-6
    theirs = PCA(10, whiten=True).fit_transform(x.double().numpy())
    assert np.allclose(white[:, :10].abs(), np.abs(theirs), atol=1e-4)
    turned = pca.whiten_in_place(x)
    assert turned.shape == x.shape
    onto = pca.directions_KD.T @ pca.directions_KD  # the identity where anything varies
    assert float((turned.double().T.cov() - onto).abs().max()) < 1e-6


def test_epsilon_shrinks_what_varies_little():
    x = numbers(300, 4)
    pca = principal(x)
    variance = pca.whiten(x, epsilon=0.5).var(0)
    assert torch.allclose(variance, pca.variances_K / (pca.variances_K + 0.5), rtol=1e-6)


def test_pca_refuses_what_it_cannot_do():
    with pytest.raises(UsageError, match="keep=5; the training part varies in 2"):
        principal(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]), keep=5)
    with pytest.raises(UsageError, match=r"x\.flatten\(1\)"):
        principal(torch.zeros(4, 2, 2))
    with pytest.raises(UsageError, match=r"keep=1\.5; a whole number"):
        principal(numbers(9, 2), keep=1.5)
    with pytest.raises(UsageError, match="epsilon=-1"):
        principal(numbers(9, 2)).whiten(numbers(9, 2), -1)
    with pytest.raises(DataError, match="1 of 2 training samples"):
        principal(torch.tensor([[1.0, 2.0], [float("nan"), 0.0]]))


# -------------------------------------------------------------------------- splits and balance


@pytest.mark.parametrize("k", [3, 5, 10])
@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    seed=st.integers(0, 2**40),
    data=st.data(),
)
def test_stratified_folds_are_disjoint_cover_and_have_scikit_learns_counts(k, counts, seed, data):
    labels = np.repeat(np.arange(len(counts)), counts)
    if len(labels) < k:
        with pytest.raises(UsageError):
            stratified_k_fold(torch.tensor(labels), k, seed)
        return
    labels = np.concatenate([np.unique(labels), data.draw(st.permutations(labels.tolist()))])
    folds = stratified_k_fold(torch.tensor(labels), k, seed)
    assert len(folds) == k
    assert sorted(row for _, val in folds for row in val) == list(range(len(labels)))
    for train, val in folds:
        assert sorted(train + val) == list(range(len(labels)))
    mine = [Counter(labels[val].tolist()) for _, val in folds]
    sizes = [len(val) for _, val in folds]
    assert max(sizes) - min(sizes) <= 1
    for kind in set(labels.tolist()):
        held = [count[kind] for count in mine]
        assert max(held) - min(held) <= 1
    if min(Counter(labels.tolist()).values()) >= k:  # else scikit-learn warns
        theirs = StratifiedKFold(k).split(labels, labels)
        assert mine == [Counter(labels[val].tolist()) for _, val in theirs]
    assert folds == stratified_k_fold(torch.tensor(labels), k, seed)


def test_folds_are_drawn_and_not_taken_in_order():
    labels = torch.arange(300) % 3
    one, other = (stratified_k_fold(labels, 3, seed)[0][1] for seed in (0, 1))
    assert 15 < len(set(one) & set(other)) < 55  # 33 by chance
    assert 120 < np.mean(one) < 180


def test_three_parts_are_disjoint_cover_and_are_stratified():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    parts = split_three(labels, 0.2, 0.1, seed=4)
    assert sorted(row for part in parts for row in part) == list(range(100))
    counts = [torch.bincount(labels[part], minlength=3).tolist() for part in parts]
    assert counts == [[42, 21, 7], [12, 6, 2], [6, 3, 1]]
    assert parts == split_three(labels, 0.2, 0.1, seed=4)
    with pytest.raises(UsageError, match="nothing to learn"):
        split_three(labels, 0.6, 0.5, seed=0)


def test_class_weights_equal_scikit_learn_and_balanced_rows_are_balanced():
    labels = torch.tensor([0] * 50 + [1] * 7 + [2] * 3)
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    assert np.allclose(class_weights(labels, 3), theirs)
    rows = balanced_rows(labels, 3, seed=2)
    assert torch.bincount(labels[rows]).tolist() == [50, 50, 50]
    times = Counter(rows)
    for kind, copies in ((0, {1}), (1, {7, 8}), (2, {16, 17})):
        assert {times[int(row)] for row in (labels == kind).nonzero()[:, 0]} == copies
    assert labels[rows][:50].unique().tolist() == [0, 1, 2]  # shuffled
    with pytest.raises(DataError, match=r"classes \[3\] have no sample"):
        class_weights(labels, 4)
    with pytest.raises(DataError, match="label 2 of 2 classes"):
        class_weights(labels, 2)
    for as_given in (labels.tolist(), labels.numpy()):
        assert torch.equal(class_weights(as_given, 3), class_weights(labels, 3))
        assert balanced_rows(as_given, 3, seed=2) == rows
    for wrong in (torch.eye(3).long(), labels.float()):
        with pytest.raises(DataError, match="a whole number for each sample"):
            class_weights(wrong, 3)


# ------------------------------------------------------------------------------- smaller pictures


def test_a_zone_plate_shows_what_antialiasing_is_for():
    """Rings too fine for the new pixels: pixels picked out bring all of them back as others."""
    for factor in (2, 4, 8):
        wrong = {how: down.false_pattern(256, factor, how)
                 for how in ("nearest", "bilinear", "area", "antialias")}  # fmt: skip
        assert 0.9 < wrong["nearest"] < 1.1
        assert wrong["antialias"] < 0.05
        assert wrong["antialias"] < wrong["area"] <= wrong["bilinear"] < wrong["nearest"]


def test_snellens_own_resize_is_the_antialiased_one():
    plate = down.zone_plate(256)
    mine = resize(plate[0], 64, 64)
    assert torch.allclose(mine, down.downsample(plate, 4)[0], atol=1e-6)
    coarse = down.zone_plate(256)[..., 120:136, 120:136]  # the middle, where rings are wide
    kept = down.downsample(coarse, 2, "antialias")
    assert float((kept - means(coarse)).abs().max()) < 0.03  # what can be shown is kept


def means(x):
    """The mean of each 2 x 2 block."""
    return x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))


def test_the_zone_plate_has_the_frequencies_it_claims():
    """Along the middle row the phase is pi r^2 / side: its slope over 2 pi is r / side."""
    plate = down.zone_plate(257)[0, 0, 128].double()
    r = torch.arange(257).double() - 128
    assert torch.allclose(plate, (1 + torch.cos(torch.pi * r.square() / 257)) / 2, atol=1e-5)
