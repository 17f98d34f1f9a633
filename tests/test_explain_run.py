"""`snellen explain` and `run.explain`: what every task is asked, and what is left in the folder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import snellen as sn
from snellen.core import registry
from snellen.core.errors import UsageError
from snellen.data.open import open_data
from snellen.data.source import Part
from snellen.serve.explain import explain
from snellen.serve.predict import Predictor
from snellen.tasks.compute import Compute
from tests.little_data import folders
from tests.running import assert_well_said, run_cli

TASKS = registry.collect("snellen.tasks", "TASKS")
PICTURE = np.random.RandomState(0).randint(0, 256, (50, 70, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on eighteen gray-level squares of three shades, and one of its pictures, enlarged."""
    root = tmp_path_factory.mktemp("explained")
    folders(root / "pets", "ant", "bee", "cat")
    picture = root / "one.png"
    Image.open(root / "pets" / "cat" / "cat0.png").resize((40, 24)).save(picture)
    run = sn.train(root / "pets", model="lenet5_bn", epochs=1, doctor=False, speed="off",
                   project=str(root / "runs"))  # fmt: skip
    return run, picture


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_a_run_explains_a_picture_in_its_own_size(run):
    run, picture = run
    found = run.explain(picture, "gradcam", target="bee")
    assert (found.target, found.name) == (1, "bee")
    assert found.map.shape == (24, 40)
    assert found.picture.size == (40, 24)
    whole = run.explain(np.asarray(Image.open(picture)))
    assert whole.target == run.predict(picture)[0].label
    np.testing.assert_array_equal(run.explain(picture, target=1).map, found.map)


def test_an_attack_stays_one_when_its_picture_is_read_again(run, tmp_path):
    run, picture = run
    found = run.explain(picture, "attack", eps=0.3)
    found.picture.save(tmp_path / "bad.png")
    before, after = run.predict([picture, tmp_path / "bad.png"])
    assert after.label == found.target != before.label


def test_the_command_writes_pictures_and_overwrites_nothing(run):
    run, picture = run
    first = run_cli("explain", run.path, picture, "method=saliency,filters", "--target", "cat")
    paths = [line for line in first.out.splitlines() if line.endswith(".png")]
    assert first.code == 0, first.err
    assert "saliency: cat (score" in first.out
    assert paths == [f"{run.path}/plots/explain-one-{n}.png" for n in ("saliency", "filters")]
    assert size_of(paths[0]) == (40, 24)
    Image.new("L", (1, 1)).save(paths[1])  # somebody's own
    again = run_cli("explain", run.path, picture, "--method", "filters", "--json")
    said = json.loads(again.out)
    assert said["path"] == f"{run.path}/plots/explain-one-filters-2.png"
    assert (said["method"], said["layer"]) == ("filters", "conv1.0.conv")
    assert size_of(paths[1]) == (1, 1)


def test_every_method_of_the_command_works_on_a_run(run, tmp_path):
    run, picture = run
    words = ("--method", "all", "--style", picture, "--set", "steps=3", "--out", tmp_path / "made")
    ended = run_cli("explain", run.path, picture, *words)
    assert ended.code == 0, ended.err
    assert "left out" not in ended.err
    names = {path.name for path in (tmp_path / "made").iterdir()}
    known = registry.collect("snellen.explain.methods", "METHODS")
    assert names == {f"explain-one-{name}.png" for name in known}


BAD = {
    "method=gradcm": (2, ["no 'gradcm' in the methods of explain", "did you mean gradcam"]),
    "method=,": (2, ["--method is empty", "saliency"]),
    "method=style": (2, ["style needs a second picture", "--style IMAGE"]),
    "target=dog": (2, ["no 'dog' in the answers of the network", "ant, bee, cat"]),
    "target=7": (2, ["target=7", "0..2", "ant, bee, cat"]),
    "layer=conv9": (2, ["no 'conv9' in the layers of the network", "did you mean conv"]),
    "--set=patch=3": (2, ["no 'patch' in the settings of gradcam"]),
    "--set=patch": (2, ["--set patch", "NAME=X is wanted"]),
}


@pytest.mark.parametrize("word", BAD)
def test_bad_words_are_said_in_a_line(run, word):
    run, picture = run
    assert_well_said(run_cli("explain", run.path, picture, word), *BAD[word])


def test_bad_pictures_and_folders_are_said(run, tmp_path):
    run, picture = run
    (tmp_path / "no.png").write_text("no picture")
    for word, wanted in (("absent.png", "there is no"), ("no.png", "no.png")):
        ended = run_cli("explain", run.path, tmp_path / word)
        assert_well_said(ended, 3, [wanted])
    ended = run_cli("explain", run.path, picture, "--out", tmp_path / "no.png")
    assert_well_said(ended, 2, ["is a file"])


TELLING = {"caption", "restore"}  # sentences and pictures


def of_task(name):
    """The task of six drawn scenes, with an untrained network."""
    source = open_data("shapes").of(name)
    source = replace(source, train=Part(source.train, list(range(6))), val=None)
    kind = TASKS[name]
    task = kind.from_source(kind.adapt(source), 64)
    torch.manual_seed(0)
    outputs, channels = task.num_outputs() or len(task.names()), task.inputs().channels
    net = sn.model(task.usual_model(), classes=outputs, channels=channels)
    return Predictor(task.build(net), task, Compute.of("cpu"))


def best_thing(task, said, k):
    odds = said.scores_N[said.labels == k].max().logit()
    return float(odds)


SAID = {  # what the task's own decode says of the answer that is explained
    "classify": lambda task, said, k: said.label == k,
    "localise": lambda task, said, k: said.label == k,
    "tag": lambda task, said, k: float(said.scores_K[k].logit()),
    "regress": lambda task, said, k: float(
        (said.values_V[k] - task.spec["mean"][k]) / task.spec["std"][k]
    ),
    "segment": lambda task, said, k: bool((said.semantic_HW == k).any()),
    "detect": best_thing,
    "instances": best_thing,
    "pose": lambda task, said, k: k < task.num_outputs(),
}


@pytest.mark.parametrize("name", sorted(TELLING))
def test_an_answer_without_a_score_is_not_explained(name):
    with pytest.raises(sn.UsageError, match=f"task={name} tells .* score to explain"):
        of_task(name).task.evidence([], None)


@pytest.mark.parametrize("name", sorted(TASKS.keys() - TELLING))
def test_every_task_is_explained_by_what_it_says(name):
    predictor = of_task(name)
    found = explain(predictor, PICTURE, "gradcam")
    said = SAID[name](predictor.task, predictor.images(PICTURE)[0], found.target)
    assert said is True or said == pytest.approx(found.score, abs=2e-3)
    assert found.map.shape == (50, 70)
    assert found.map.min() >= 0 < found.map.max()
    assert found.picture.size == (70, 50)


def test_padding_is_no_part_of_the_map():
    """A wide picture in a square input: the map is of the part that shows it."""
    predictor = of_task("detect")
    wide = np.ascontiguousarray(PICTURE[:20])
    found = explain(predictor, wide, "saliency")
    plain = explain(predictor, wide, "fgsm")
    assert found.map.shape == (20, 70)
    high, across = predictor.task.inputs().height, predictor.task.inputs().width
    assert plain.picture.size == (across, round(20 * across / 70))
    assert plain.made.shape[2:] == (high, across)


def test_only_one_picture_is_taken(run):
    run, picture = run
    with pytest.raises(UsageError, match="one picture is wanted; 2 came"):
        run.explain([picture, picture])
