"""Each lesson holds at a small size what its picture says, and its command does as it says."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from running import Ended

from snellen.core.registry import collect
from tools import lessons_page

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in lessons_page.FOLDER.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def command():
    """The names of examples/lessons/__main__.py."""
    return runpy.run_path(str(lessons_page.FOLDER), run_name="lessons_of_test")


@pytest.fixture(scope="module")
def lessons(command):
    return {name: command["load"](name) for name in NAMES}


def test_activations_slopes_are_the_closed_forms(lessons):
    curves = lessons["activations"].measure(33)
    sigmoid = curves["sigmoid"]
    y_N = sigmoid.x_N.sigmoid()
    torch.testing.assert_close(sigmoid.slope_N, y_N * (1 - y_N))
    assert float(sigmoid.slope_N.max()) == 0.25
    assert [name for name, curve in curves.items() if not curve.weak_N.any()] == [
        "leaky ReLU, slope 0.2", "maxout of x/2 and -x",
    ]  # fmt: skip
    assert float(curves["tanh"].weak_N.double().mean()) > float(sigmoid.weak_N.double().mean())


def test_initialisation_collapses_saturates_or_keeps_its_size(lessons):
    found = lessons["initialisation"].measure(width=200, samples=100)
    tanh, relu = found["tanh, 10 layers"], found["ReLU, 20 layers"]
    assert tanh["0.01"].std_L[-1] < 1e-6 * tanh["0.01"].std_L[0]
    assert bool((tanh["0.01"].std_L.diff() < 0).all())
    assert tanh["1"].std_L.min() > 0.9  # nearly all at -1 or 1
    assert 0.1 < tanh["1/√n, Xavier"].std_L[-1] < tanh["1/√n, Xavier"].std_L[0]
    he = relu["√(2/n), He"].std_L
    assert bool(((he / he[0] < 2) & (he / he[0] > 0.5)).all())
    assert relu["1/√n, Xavier"].std_L[-1] < 0.01 * relu["1/√n, Xavier"].std_L[0]


def test_vanishing_is_the_product_of_the_layers_within_5_percent(lessons):
    chains = lessons["vanishing"].measure(width=300, samples=60)
    assert max(chain.gap for chain in chains.values()) < 0.05
    left = {name: float(chain.measured_L[-1]) for name, chain in chains.items()}
    assert left["sigmoid, 1/√n"] < 0.25**19 * 1.5
    assert 0.3 < left["ReLU, He"] < 3
    assert left["ReLU, 2 x He"] == pytest.approx(2**19 * left["ReLU, He"], rel=1e-6)


def test_zig_zag_signs_agree_where_inputs_are_positive(lessons):
    facts = lessons["zig_zag"].measure(num_steps=20, draws=4000)
    assert facts.same_sign["all positive"] == [1.0] * 6
    by_chance = [2.0 ** (1 - n) for n in lessons["zig_zag"].FANS]
    assert facts.same_sign["centred"] == pytest.approx(by_chance, abs=0.03)
    assert facts.detour["all positive"] > 1.5 * facts.detour["centred"]


def test_optimisers_walk_as_their_formulas(lessons):
    module = lessons["optimisers"]
    bowl = module.SURFACES[module.BOWL]
    path = module.walk(bowl, "sgd", 5, 0.01)
    x, y = path.x_T2[-1].tolist()
    assert (x, y) == pytest.approx((-9.0 * 0.99**5, 1.6 * 0.6**5))
    ways = {kind: module.best(bowl, kind, 60, module.RATES[4:14:2]) for kind in ("sgd", "adam")}
    assert all(float(way.value_T.max()) == float(way.value_T[0]) for way in ways.values())
    assert module.num_steps_to(ways["adam"], 0.1) < 60
    assert float(module.beale(torch.tensor([3.0, 0.5]))) == 0.0
    assert len(module.walk(bowl, "sgd", 50, 1.0).value_T) == 2  # climbs at once, and is left


def test_learning_rates_too_low_good_and_too_high(lessons):
    good, low, high = (lessons["learning_rate"].train(lr, 3)[1] for lr in (0.2, 0.002, 20.0))
    assert good < 0.3 < 1.8 < low < 2.4 < high


def test_schedules_that_fall_leave_the_floor(lessons):
    module = lessons["schedules"]
    runs = {name: module.train(name, 40) for name in ("constant", "cosine", "step", "plateau")}
    floor = runs["constant"].error_E[-10:].mean()
    assert 0.1 < floor < 0.6
    assert max(runs[name].error_E[-1] for name in ("cosine", "step", "plateau")) < floor / 3
    assert runs["plateau"].factor_E[0] == 1
    assert runs["plateau"].factor_E[-1] < 1


def test_batch_noise_falls_by_the_root(lessons):
    facts = lessons["batch_size"].measure(count=300, repeats=100)
    assert facts.slope == pytest.approx(-0.5, abs=0.03)
    assert bool((facts.cosine_SR.median(1).values.diff() > 0).all())


def test_regularisation_trades_what_was_learned_for_what_holds(lessons):
    module = lessons["regularisation"]
    alone, held = (
        module.train(*module.WAYS[name], num_steps=500, side=4)
        for name in ("nothing", "input noise, 0.3")
    )
    assert alone.train > held.train
    assert held.held_out > alone.held_out + 0.02


def test_downsampling_without_a_mean_keeps_what_is_too_fine(lessons):
    found = {name: one.false for name, one in lessons["downsampling"].measure(128).items()}
    assert found["every fourth pixel"] == pytest.approx(0.5**0.5, abs=0.05)
    assert found["antialiased"] < 0.1 < 0.8 < found["max pooling, 4 x 4"]


def test_augmentation_shows_every_word_and_boxes_follow(lessons):
    found = lessons["augmentation"].measure(draws=2)
    words = collect("snellen.data.augment", "AUGMENTS")
    assert {"off", *words} - set(found) == {"multiscale"}
    assert sum(one.outside for one in found.values()) == 0
    assert found["flip"].picture_BCHW.shape == found["off"].picture_BCHW.shape


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_small_whole_and_named(name):
    path = lessons_page.PICTURES / f"{name}.svg"
    assert path.stat().st_size < 150_000
    drawn = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(drawn)
    assert root.attrib["role"] == "img"
    assert re.search(r"\d", lessons_page.said(name))
    assert "prefers-color-scheme: dark" in drawn
    assert not re.search(r"#(1c2430|5c6675|e3e6ea)", drawn.partition("</style>")[2])


def test_command_draws_both_kinds_and_lists(command, tmp_path, capsys):
    main, drawn = command["main"], tmp_path / "new" / "plate.png"
    assert main(["downsampling", "--out", str(drawn)]) == 0
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert main([]) == 0
    assert [
        line.split()[0] for line in capsys.readouterr().out.splitlines()[-len(NAMES) :]
    ] == list(command["lessons"]())


def test_the_kept_picture_is_what_the_command_draws(command, tmp_path, capsys):
    """Of a lesson without random numbers: its numbers are the same on every machine."""
    assert command["main"](["activations", "--out", str(tmp_path / "a.svg")]) == 0
    assert capsys.readouterr().out.strip().endswith(lessons_page.said("activations"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["activation"], "no 'activation' in lessons; did you mean activations"),
        (["vanishing", "--out", "a.jpg"], "--out a.jpg; a name that ends in .svg or .png"),
    ],
)
def test_command_refuses_in_one_line(command, capsys, words, said):
    assert command["main"](words) == 2
    ended = Ended(2, *capsys.readouterr())
    assert ended.err.startswith(said)
    assert ended.err.count("\n") == 1
    assert not ended.out
