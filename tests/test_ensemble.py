"""Several runs as one: the mean of their answers or of their weights, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from little_data import folders
from running import assert_well_said, run_cli
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, update_bn

import snellen as sn
from snellen.core import registry
from snellen.improve.average import mean_weights
from snellen.improve.ensemble import ensemble
from snellen.improve.members import read_members
from snellen.tasks.classify import Classify
from snellen.tasks.regress import Regress
from snellen.tasks.segment import Segment
from snellen.tasks.tag import Tag
from snellen.tasks.task import Task
from snellen.train.checkpoint import save_best
from snellen.train.judge import feed_of
from snellen.train.prepare import read_source
from snellen.train.rebuild import rebuild

QUICK = {"quiet": True, "doctor": False, "preflight": "off"}
INPUTS = {"channels": 1, "height": 1, "width": 1, "mean": [0.5], "std": [0.25]}


@pytest.fixture(scope="module")
def digits(tmp_path_factory, undrawn):
    """Two runs from other first weights, and two that held out another third."""
    project = tmp_path_factory.mktemp("runs")

    def run(**settings):
        how = {"model": "mlp", "batch": 128, "lr": 3e-3, **QUICK, **settings}
        return sn.train("digits", project=project, **how)

    return [*(run(seed=seed, epochs=2) for seed in (0, 1)),
            *(run(fold=f"{k}/3", epochs=1) for k in (1, 2))]  # fmt: skip


@pytest.fixture(scope="module")
def pets(tmp_path_factory, undrawn):
    """Three epochs of a network with batch norms on a few pictures, where all can be recounted."""
    root = tmp_path_factory.mktemp("pets")
    data = folders(root / "pets", "ant", "bee", "cat", count=10)
    return sn.train(data, model="lenet5_bn", epochs=3, project=root / "runs", augment="off",
                    precise_norm=False, **QUICK)  # fmt: skip


def made(*paths, **words):
    ended = run_cli("ensemble", *paths, *(f"{word}={value}" for word, value in words.items()))
    assert ended.code == 0, ended.err
    return sn.load(ended.out.splitlines()[-2].split()[0]), json.loads(ended.last)


def probabilities(run, images):
    return torch.stack([found.scores_K for found in run.predict(images)]).double()


@pytest.mark.parametrize("which", [(0, 1), (2, 3)], ids=["other first weights", "other folds"])
def test_ensemble_says_the_mean_and_its_loss_is_at_most_the_mean_loss(which, digits, tmp_path):
    """Jensen: -log is convex. Runs of other folds standardise their pictures by other numbers."""
    runs = [digits[i] for i in which]
    both, scores = made(*(run.path for run in runs), data="digits", project=tmp_path)
    images = list(np.random.RandomState(0).randint(0, 256, (9, 8, 8), np.uint8))
    mean = (probabilities(runs[0], images) + probabilities(runs[1], images)) / 2
    torch.testing.assert_close(probabilities(both, images), mean, atol=1e-6, rtol=0)
    losses = [run.evaluate("digits")["loss"] for run in runs]
    assert scores["loss"] < sum(losses) / 2
    assert max(losses) - min(losses) > 1e-4  # they are not the same network


def test_what_is_made_is_a_run_as_any_other(digits, tmp_path):
    both, scores = made(digits[0].path, digits[1].path, project=tmp_path, name="two")
    assert both.path.name == "two-1"
    assert both.evaluate() == both.metrics == scores
    assert both.status == "finished"
    assert run_cli("verify", both.path).code == 0
    assert both.export("torch").difference < 1e-5
    (row,) = json.loads(run_cli("runs", tmp_path, "--json").out)
    assert (row["task"], row["model"], row["metrics"]) == ("classify", "mlp+mlp", scores)
    four, _ = made(both.path, digits[0].path, project=tmp_path)  # an ensemble can be a member
    x = [np.full((8, 8), 99, np.uint8)]
    wanted = (probabilities(both, x) + probabilities(digits[0], x)) / 2
    torch.testing.assert_close(probabilities(four, x), wanted, atol=1e-6, rtol=0)
    both.folder.config.write_text("recipe: {}\n")
    assert run_cli("verify", both.path).code == 3  # of a run that has ended all is sealed


def test_members_are_scored_as_eval_scores_them_and_may_be_deleted(digits, tmp_path):
    copies = [shutil.copytree(run.path, tmp_path / str(i)) for i, run in enumerate(digits[:2])]
    done = ensemble(copies, project=tmp_path / "runs")
    for run, scores in zip(digits, done.members.values(), strict=False):
        assert scores == pytest.approx(run.evaluate(), abs=1e-6)
    for copy in copies:
        shutil.rmtree(copy)
    assert sn.load(done.path).evaluate() == done.scores


def test_checkpoints_of_one_run_are_members(pets, tmp_path):
    names = [pets.path / "weights" / name for name in ("last", "previous.safetensors")]
    both, scores = made(*names, project=tmp_path)
    done = ensemble(names, project=tmp_path)
    assert scores == done.scores
    assert scores["loss"] <= sum(one["loss"] for one in done.members.values()) / 2 + 1e-6
    assert both.path.name == "pets-ensemble-1"


def test_average_of_weights_is_pytorchs_with_its_batch_norms_refreshed(pets, tmp_path):
    """The oracle is AveragedModel and update_bn, which pools what lies in one batch as we do."""
    names = [pets.path / "weights" / name for name in ("previous", "last")]
    run, _ = made(*names, project=tmp_path, average="weights")
    net, task, meta = rebuild(names[0].with_suffix(".safetensors"))
    averaged = AveragedModel(net)
    for name in names:
        averaged.update_parameters(rebuild(name.with_suffix(".safetensors"))[0])
    first = read_members(names)[0]
    source = read_source(first.recipe, None, print)
    (batch,) = feed_of(source.train, source, task, first.recipe).in_order()
    update_bn([task.inputs().prepare(batch.x)], averaged)
    got, _, _ = rebuild(run.folder.best)
    for name, value in averaged.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(got.state_dict()[name], value, atol=1e-5, rtol=1e-4)
    stale = mean_weights([member.weights for member in read_members(names)])
    moved = [n for n in stale if "running" in n and not torch.equal(stale[n], got.state_dict()[n])]
    assert moved
    assert run.config["network"] == meta["model"]  # a plain network, none of members


def outs_of(tasks, *shape):
    torch.manual_seed(0)
    return [2 * torch.randn(5, *shape) for _ in tasks]


def batch(height=1):
    sizes = torch.tensor([[height, height]] * 5)
    return sn.Batch(torch.zeros(5, 1, height, height), {}, torch.arange(5), sizes)


def test_each_task_pools_to_the_mean_of_what_it_decodes():
    tag = Tag({"attributes": ["a", "b"], "inputs": INPUTS})
    outs = outs_of(range(3), 2)
    said = [torch.stack([p.scores_K for p in tag.decode(out, batch())]) for out in outs]
    got = torch.stack([p.scores_K for p in tag.decode(tag.pool(outs, [tag] * 3), batch())])
    torch.testing.assert_close(got, sum(said) / 3)

    numbers = [Regress({"values": ["x", "y"], "mean": mean, "std": [2.0, 0.5], "inputs": INPUTS})
               for mean in ([0.0, 1.0], [5.0, -1.0])]  # fmt: skip
    outs = outs_of(numbers, 2)
    said = [torch.stack([p.values_V for p in task.decode(out, batch())])
            for task, out in zip(numbers, outs, strict=True)]  # fmt: skip
    pooled = numbers[0].pool(outs, numbers)
    got = torch.stack([p.values_V for p in numbers[0].decode(pooled, batch())])
    torch.testing.assert_close(got, sum(said) / 2, atol=1e-5, rtol=0)

    spec = {"values": ["x"], "mean": [0.0], "std": [1.0], "inputs": INPUTS, "bins": 4}
    bins = Regress({**spec, "quantiles": [torch.linspace(0, 1, 101).tolist()]})
    outs = outs_of(range(2), 4)
    said = [torch.stack([p.values_V for p in bins.decode(out, batch())]) for out in outs]
    got = torch.stack([p.values_V for p in bins.decode(bins.pool(outs, [bins] * 2), batch())])
    torch.testing.assert_close(got, sum(said) / 2)
    other = Regress({**spec, "quantiles": [torch.linspace(0, 2, 101).tolist()]})
    with pytest.raises(sn.UsageError, match="bins=4 lie elsewhere"):
        bins.pool(outs, [bins, other])
    with pytest.raises(sn.UsageError, match="same bins="):
        bins.pool(outs, [bins, numbers[0]])

    maps = Segment({"classes": ["a", "b", "c"], "inputs": INPUTS, "shrinks": False})
    outs = outs_of(range(2), 3, 4, 4)
    mean = sum(out.softmax(1) for out in outs) / 2
    torch.testing.assert_close(maps.pool(outs, [maps] * 2).softmax(1), mean)


def test_jensen_holds_sample_by_sample_and_with_equality_for_equal_members():
    task = Classify({"classes": ["a", "b", "c"], "inputs": INPUTS})
    outs, true_B = outs_of(range(4), 3), torch.arange(5) % 3
    each = torch.stack([F.cross_entropy(out, true_B, reduction="none") for out in outs])
    pooled = F.cross_entropy(task.pool(outs, [task] * 4), true_B, reduction="none")
    assert (pooled <= each.mean(0)).all()
    same = F.cross_entropy(task.pool(outs[:1] * 4, [task] * 4), true_B, reduction="none")
    torch.testing.assert_close(same, each[0])


def test_tasks_whose_answers_have_no_mean_refuse():
    tasks = registry.collect("snellen.tasks", "TASKS")
    able = {name for name, kind in tasks.items() if kind.pool is not Task.pool}
    assert able == {"classify", "tag", "regress", "segment"}
    detect = tasks["detect"]({"classes": ["a"]})
    with pytest.raises(sn.UsageError, match=r"task=detect has no mean .* average=weights"):
        detect.pool([], [])


@pytest.fixture(scope="module")
def strangers(tmp_path_factory, digits):
    """Runs that are no ensemble with a first one, by what they differ in."""
    root = tmp_path_factory.mktemp("strangers")

    def trained(data, model="mlp", **more):
        settings = {"epochs": 1, "project": root / "runs", **QUICK, **more}
        return sn.train(data, model=model, **settings).path

    x = np.random.RandomState(0).randint(0, 256, (24, 8, 8), np.uint8)
    y, numbers = np.arange(24) % 10, np.linspace(0, 1, 24, dtype=np.float32)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    pets = folders(root / "pets", "0", "1", count=4)
    return {
        "digits": digits[0].path,
        "fold": digits[2].path,
        "few": trained(pets, imgsz=8),
        "large": trained("digits", imgsz=12),
        "other": trained("digits", model="lenet5_bn"),
        "numbers": trained((x, numbers), model="resnet8_w32", task="regress", epochs=1),
        "arrays": trained((x, y)),
        "own": trained((x, y), model=net),
        "alone": folders(root / "held", "0", "1", count=4),
    }


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        ("digits", 2, ["1 is no ensemble; name two runs or more"]),
        ("digits digits", 2, ["is named twice"]),
        ("digits few", 2, ["the first knows 2, 3", "the second does not"]),
        ("few digits", 2, ["the second knows 2, 3", "the first does not"]),
        ("digits large", 2, ["pictures of 1x8x8 and 1x12x12; train them with one imgsz="]),
        ("digits numbers", 2, ["the first is of task=classify, the second of task=regress"]),
        ("digits own", 2, ["a network of your own, Sequential"]),
        ("digits fold", 2, ["may have learned from what", "give data="]),
        ("arrays digits", 2, ["was trained on arrays, which it did not keep; give data="]),
        ("digits other average=weights", 2, ["average=weights wants", "different networks"]),
        ("digits other average=sum", 2, ["no 'sum' in the averages"]),
        ("digits digits/weights/lst", 3, ["no run at", "there is no such folder"]),
        ("digits alone", 3, ["is not a run"]),
    ],
)
def test_what_does_not_go_together_is_refused_and_nothing_is_written(
    words, code, wanted, strangers, tmp_path
):
    names = [word.partition("/") for word in words.split()]
    paths = [str(strangers[n]) + slash + rest if n in strangers else n for n, slash, rest in names]
    ended = run_cli("ensemble", *paths, f"project={tmp_path / 'runs'}")
    assert_well_said(ended, code, wanted)
    assert not (tmp_path / "runs").exists()


def test_names_in_another_order_are_told(tmp_path, digits):
    copy = shutil.copytree(digits[1].path, tmp_path / "copy")
    member = read_members([digits[0].path, copy])[1]
    classes = ["1", "0", *member.task.names()[2:]]
    spec = {**member.meta["spec"], "classes": classes}
    save_best(copy / "weights" / "best.safetensors", member.weights, {**member.meta, "spec": spec})
    with pytest.raises(sn.UsageError, match="another order: number 0 is 0 and 1"):
        read_members([digits[0].path, copy])
