"""Splits are disjoint, whole, stratified and repeatable; statistics equal NumPy's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from snellen.core.errors import UsageError
from snellen.data.sets import ArraySet, FileSet
from snellen.data.splits import (
    k_fold,
    random_split,
    split_three,
    stratified_k_fold,
    stratified_split,
)
from snellen.data.statistics import channel_statistics


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-1, 5), min_size=2, max_size=200),
    st.floats(0.01, 0.9),
    st.integers(0, 2**63 - 1),
)
def test_stratified_split_laws(labels, share, seed):
    y = torch.tensor(labels)
    train, val = stratified_split(y, share, seed)
    assert sorted(train + val) == list(range(len(labels)))
    assert train
    assert val
    assert (train, val) == stratified_split(y, share, seed)
    for kind in set(labels):
        count, held = labels.count(kind), sum(labels[i] == kind for i in val)
        if len(set(labels)) < len(labels):  # else there is nothing to stratify by
            assert held <= max(count - 1, 0)
            assert abs(held - count * share) <= 1 + 1e-9 or held in (1, count - 1)


def test_split_is_a_draw_and_not_an_order():
    y = torch.zeros(1000, dtype=torch.int64)
    _, a = stratified_split(y, 0.2, 0)
    _, b = stratified_split(y, 0.2, 1)
    assert len(a) == len(b) == 200
    assert 20 < len(set(a) & set(b)) < 60  # 40 by chance
    assert 450 < np.mean(a) < 550


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_k_fold_holds_each_row_out_once(k):
    folds = k_fold(23, k, seed=1)
    assert sorted(row for _, val in folds for row in val) == list(range(23))
    assert all(sorted(train + val) == list(range(23)) for train, val in folds)
    sizes = [len(val) for _, val in folds]
    assert max(sizes) - min(sizes) <= 1


def test_impossible_splits_are_refused():
    with pytest.raises(UsageError, match="cannot be split"):
        random_split(1, 0.2, 0)
    with pytest.raises(UsageError, match=r"split=1\.0"):
        random_split(9, 1.0, 0)
    with pytest.raises(UsageError, match="4 folds of 3"):
        k_fold(3, 4, 0)
    with pytest.raises(UsageError, match="1 sample"):
        stratified_split(torch.zeros(1), 0.5, 0)


@pytest.mark.parametrize(("split", "words"), [
    (lambda: stratified_k_fold([0, 1] * 5, 3.0, 0), r"3\.0 folds"),
    (lambda: k_fold(10, "3", 0), "'3' folds"),
    (lambda: random_split(10, "a fifth", 0), "split='a fifth'"),
    (lambda: split_three([0] * 9, None, 0.1, 0), "val=None"),
    (lambda: random_split(10, 0.2, -1), "seed=-1"),
    (lambda: stratified_split(torch.eye(4), 0.5, 0), r"shape \(4, 4\); one for each sample"),
    (lambda: stratified_k_fold(torch.eye(4), 2, 0), r"argmax\(1\)"),
    (lambda: split_three(np.eye(4), 0.2, 0.2, 0), "one for each sample"),
])  # fmt: skip
def test_what_is_no_share_no_seed_and_no_label_is_refused_in_words(split, words):
    with pytest.raises(UsageError, match=words):
        split()


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_statistics_equal_numpy(kind):
    torch.manual_seed(0)
    x = (torch.rand(50, 3, 9, 7) * 255).to(kind)
    mean, std = channel_statistics(ArraySet(x, torch.zeros(50)))
    wide = x.numpy().astype(np.float64) / (255 if kind == torch.uint8 else 1)
    assert np.allclose(mean, wide.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(std, wide.std((0, 2, 3)), rtol=1e-12)


def test_statistics_of_files_pass_over_the_unreadable(tmp_path):
    random, pixels, paths = np.random.RandomState(0), [], []
    for i in range(6):
        pixels.append(random.randint(0, 256, (8 + i, 9, 3)).astype(np.uint8))
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(pixels[-1]).save(paths[-1])
    (tmp_path / "bad.png").write_bytes(b"no")
    part = FileSet([*paths, str(tmp_path / "bad.png")], torch.zeros(7))
    every = np.concatenate([p.reshape(-1, 3) for p in pixels]) / 255
    mean, std = channel_statistics(part)
    assert np.allclose(mean, every.mean(0), rtol=1e-12)
    assert np.allclose(std, every.std(0), rtol=1e-12)


def test_statistics_survive_nan_and_constant_channels():
    x = torch.rand(10, 2, 4, 4)
    x[:, 1] = 3.0
    clean = channel_statistics(ArraySet(x[1:], torch.zeros(9)))
    x[0, 0, 0, 0] = float("nan")
    mean, std = channel_statistics(ArraySet(x, torch.zeros(10)))
    assert (mean, std) == clean
    assert std[1] == 1.0
