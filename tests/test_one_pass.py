"""The compiled loops against torch's operations: same draws, same numbers, same training."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_resume import Broken, break_at, same

import snellen as sn
from snellen.core import compiled
from snellen.data.augment import compose
from snellen.data.augment.one_pass import OnePass, fits
from snellen.data.inputs import Inputs
from snellen.data.sample import Batch
from snellen.train import idle, session, verb
from snellen.train.recipe import Recipe
from snellen.train.speed import Facts, Machine, choose

needs_numba = pytest.mark.skipif(not compiled.is_here(), reason="numba is not installed")
WORDS = [
    "off",
    "crop",
    "vflip+crop+flip",
    "flip+crop+vflip",
    "flip+jitter+crop",
    "crop+flip+jitter",
]
IMAGES = {"model": "lenet5_bn", "epochs": 2, "batch": 32, "augment": "crop+flip+jitter"}


def batch_of(channels, size=(20, 33), count=24):
    x = torch.randint(0, 256, (count, channels, *size), dtype=torch.uint8)
    boxes = [torch.tensor([[2.0, 3, 12, 10], [0, 0, 5, 4]])] * count
    y = {"label": torch.zeros(count), "boxes": boxes}
    return Batch(x, y, torch.arange(count), torch.zeros(count, 2))


def inputs_of(channels, size=(20, 33)):
    return Inputs(
        channels, *size, (0.4, 0.5, 0.6, 0.3)[:channels], (0.2, 0.25, 0.3, 0.4)[:channels], "bytes"
    )


@needs_numba
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("words", WORDS)
def test_the_loops_give_the_numbers_of_torchs_operations(words, channels, channels_last, layout):
    chain, inputs, batch = compose(words), inputs_of(channels), batch_of(channels)
    one, two = (torch.Generator().manual_seed(5) for _ in range(2))
    wanted = chain(batch, one)
    batch = replace(batch, x=batch.x.contiguous(memory_format=layout))
    found = OnePass(chain, inputs, channels_last=channels_last)(batch, two)
    off = (found.x - inputs.prepare(wanted.x)).abs()
    level = 1.01 / 255 / 0.2  # a jittered value between two may be rounded to either
    assert off.max() < (level if "jitter" in words else 1e-5)
    assert (off > 1e-5).double().mean() < 1e-3
    assert torch.equal(one.get_state(), two.get_state())
    assert all(map(torch.equal, found.y["boxes"], wanted.y["boxes"]))
    assert found.is_ready
    assert found.x.is_contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )


@needs_numba
def test_many_draws_have_the_distribution_of_the_plain_pipeline_a_sample():
    """Against crop and flip written by hand, a sample at a time, with other random numbers."""
    rng, size = np.random.RandomState(0), 8
    picture = rng.randint(0, 256, (1, 1, size, size)).astype(np.uint8)
    count = 4000
    x = torch.from_numpy(picture).expand(count, 1, size, size).contiguous()
    batch = Batch(x, {}, torch.arange(count), torch.zeros(count, 2))
    inputs = Inputs(1, size, size, (0.5,), (0.25,), "bytes")
    found = OnePass(compose("crop+flip"), inputs)(batch, torch.Generator().manual_seed(1)).x
    plain = []
    for _ in range(count):
        down, right = rng.randint(0, 3, 2)
        one = np.pad(picture[0, 0], 1)[down : down + size, right : right + size]
        plain.append(one[:, ::-1] if rng.rand() < 0.5 else one)
    wanted = (torch.tensor(np.stack(plain)).float() / 255 - 0.5) / 0.25
    error = (found[:, 0].mean(0) - wanted.mean(0)) / (wanted.var(0) * 2 / count).sqrt()
    assert error.abs().max() < 4.5  # of 64 standard normal values
    seen = {tuple(v.tolist()) for v in (found[:, 0].flatten(1) * 63.75 + 127.5).round().int()}
    assert seen == {tuple(v.tolist()) for v in torch.tensor(np.stack(plain)).flatten(1).int()}


@pytest.mark.parametrize(
    ("words", "can"), [("crop+crop", False), ("jitter+flip+jitter", False), ("noise", False),
                       ("flip+vflip+flip", True), (None, True)],
)  # fmt: skip
def test_only_what_the_loops_can_do_goes_through_them(words, can):
    assert fits(compose(words)) is can


@needs_numba
def test_the_users_own_floats_go_through_the_chain_itself():
    batch = Batch(torch.rand(4, 1, 8, 8), {}, torch.arange(4), torch.zeros(4, 2))
    out = OnePass(compose("flip"), inputs_of(1, (8, 8)))(batch, torch.Generator())
    assert not out.is_ready
    assert torch.equal(out.x, compose("flip")(batch, torch.Generator()).x)


def pictures():
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (96, 16, 16, 3)).astype(np.uint8), np.arange(96) % 3


def train(folder, **settings):
    return sn.train(pictures(), **IMAGES, **settings, project=folder, quiet=True, doctor=False)


@needs_numba
def test_a_training_is_the_same_either_way_and_can_change_over(tmp_path, monkeypatch):
    by_loops = train(tmp_path / "loops", preparing="compiled")
    by_torch = train(tmp_path / "torch", preparing="torch")
    assert by_loops.metrics["loss"] == pytest.approx(by_torch.metrics["loss"], rel=1e-3)
    with monkeypatch.context() as patch:
        break_at(2, patch)
        with pytest.raises(Broken):
            train(tmp_path / "cut", preparing="compiled")
    same(by_loops, sn.train(pictures(), resume=next((tmp_path / "cut").iterdir()), quiet=True))


@needs_numba
def test_a_run_goes_on_where_numba_is_missing_and_says_so(tmp_path, monkeypatch):
    run = train(tmp_path, preparing="compiled", norm="by_shape")
    for module in (idle, session, verb):
        monkeypatch.setattr(module, "is_here", lambda: False)
    again = sn.train(pictures(), resume=run.path, epochs=3, quiet=True)
    assert "preparing without numba, norm without numba" in again.folder.log.read_text()
    with pytest.raises(sn.UsageError, match=r"pip install 'snellen\[fast\]'"):
        train(tmp_path, preparing="compiled")


def test_loops_are_refused_for_what_they_cannot_do(tmp_path, monkeypatch):
    monkeypatch.setattr(idle, "is_here", lambda: True)
    with pytest.raises(sn.UsageError, match="augment=affine"):
        sn.train(pictures(), augment="affine", preparing="compiled", project=tmp_path)


@pytest.mark.parametrize(
    ("change", "value"),
    [({}, "compiled"), ({"samples": 1000}, "torch"), ({"numba": False}, "torch"),
     ({"augment": "affine"}, "torch"), ({"pictures": False}, "torch"), ({"cuda": True}, "torch")],
)  # fmt: skip
def test_the_loops_are_chosen_where_they_pay(change, value):
    given = {"samples": 50_000, "numba": True, "augment": "crop+flip", "pictures": True,
             "cuda": False} | change  # fmt: skip
    machine = Machine(2, 0.0, bf16=False, cuda=given["cuda"], free_bytes=1 << 34,
                      numba=given["numba"])  # fmt: skip
    facts = Facts(given["samples"], pictures=given["pictures"], macs=10**9, values=3072)
    recipe = Recipe(batch=64, epochs=5, augment=given["augment"])
    chosen = {c.setting: c for c in choose(recipe, facts, machine)}
    assert chosen["preparing"].value == value
    assert chosen["preparing"].quiet is (value != "compiled")


def test_nothing_imports_numba_before_it_is_wanted():
    code = "import sys, snellen.train.verb, snellen.train.session; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
