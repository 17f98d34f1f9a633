"""Searching settings: what is tried, what is said of it, and that a search goes on."""

import csv
import json
import math
import re
import shlex
import sys

import numpy as np
import pytest
from little_data import folders
from running import assert_well_said, run_cli
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (what sklearn asks for)
from sklearn.model_selection import HalvingRandomSearchCV, StratifiedKFold

import snellen as sn
from snellen.core import registry
from snellen.core.events import read_events
from snellen.data.open import open_data
from snellen.improve.draws import draws
from snellen.improve.methods import Wish
from snellen.improve.space import Choice, Range, read_axis
from snellen.improve.trials import Trial, read_trials
from snellen.train.session import Session

METHODS = registry.collect("snellen.improve.methods", "METHODS")
QUICK = ["model=mlp", "imgsz=8", "batch=8", "augment=off", "epochs=1"]


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return folders(tmp_path_factory.mktemp("data") / "pets", "ant", "bee", "cat", count=10)


def answered(number, settings, epochs, score):
    return Trial(number, settings, epochs, score, None, -score, "finished", (), 0.0)


def asked(method, wish, score):
    """What a method asks of a function score(settings, epochs) -> every trial, in order."""
    made = []

    def judge(number, settings, epochs):
        made.append(answered(number, settings, epochs, score(settings, epochs)))
        return made[-1]

    METHODS[method].run(wish, judge)
    return made


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("lr", "1e-4..1e-1", Range("lr", 1e-4, 0.1)),
        ("momentum", "0.5..0.9", Range("momentum", 0.5, 0.9)),
        ("batch", "8..128", Range("batch", 8, 128, True)),
        ("batch", "16,32,64", Choice("batch", (16, 32, 64))),
        ("lr", "1e-4..1e-1:4", Choice("lr", (1e-4, 1e-3, 1e-2, 0.1))),
        ("momentum", "0.5..0.9:3", Choice("momentum", (0.5, 0.7, 0.9))),
        ("batch", "1..4:9", Choice("batch", (1, 2, 3, 4))),
        ("optim", "sgd,adamw", Choice("optim", ("sgd", "adamw"))),
        ("precise_norm", "yes,no", Choice("precise_norm", (True, False))),
        ("optim", ["sgd", "adamw"], Choice("optim", ("sgd", "adamw"))),
        ("lr", "0.1", None),
        ("lr", 0.1, None),
        ("data", "../pets,2..3", None),
        ("val", "a,b", None),
    ],
)
def test_values_tell_what_is_searched(name, value, wanted):
    assert read_axis(name, value) == wanted


def test_a_range_of_factors_is_log_uniform():
    """10**U(a, b), notes 003: the oracle is the uniform distribution of the logarithm."""
    axis = Range("lr", 1e-6, 10.0)
    drawn = [one["lr"] for one in draws([axis], 400, seed=0)]
    assert stats.kstest(np.log10(drawn), "uniform", (-6, 7)).pvalue > 0.01
    straight = [one["momentum"] for one in draws([Range("momentum", 0.5, 0.9)], 400, seed=0)]
    assert stats.kstest(straight, "uniform", (0.5, 0.4)).pvalue > 0.01
    assert draws([axis], 5, seed=0) == draws([axis], 400, seed=0)[:5]
    assert draws([axis], 5, seed=0) != draws([axis], 5, seed=1)


def test_random_beats_grid_where_one_setting_of_two_matters():
    """Bergstra and Bengio: 9 trials are 9 values of lr for random search and 3 for a grid, whose
    nearest is half a power of ten away at worst. Mean over 30 places of the optimum.
    """

    def miss(method, axes, seed, best):
        made = asked(method, Wish(axes, 9 if method == "random" else None, seed=seed),
                     lambda s, e: -abs(math.log10(s["lr"]) - best))  # fmt: skip
        assert len(made) == 9
        return -max(trial.score for trial in made)

    ranges = [read_axis("lr", "1e-4..1"), read_axis("momentum", "0.1..0.9")]
    lists = [read_axis("lr", "1e-4..1:3"), read_axis("momentum", "0.1..0.9:3")]
    places = np.linspace(-3.9, -0.1, 30)
    random = np.mean([miss("random", ranges, seed, best) for seed, best in enumerate(places)])
    grid = np.mean([miss("grid", lists, 0, best) for best in places])
    assert random < 0.8 * grid


def test_halving_finds_what_the_whole_budget_finds_for_less():
    """A score that rises with epochs alike for all: one epoch tells the order of the end."""
    wish = Wish([Range("lr", 1e-4, 1e-1)], 27, 27)

    def score(settings, epochs):
        return 1 - abs(math.log10(settings["lr"]) + 2) / 4 - 0.5 / (epochs or 27)

    halved, whole = asked("halving", wish, score), asked("random", wish, score)
    assert halved[-1].settings == max(whole, key=lambda t: t.score).settings
    assert halved[-1].epochs == 27
    spent = {t.number: t.epochs for t in halved}  # resumed: the longest holds the shorter ones
    assert sum(spent.values()) < 0.2 * 27 * 27


class Counted(ClassifierMixin, BaseEstimator):
    """What scikit-learn's halving search is asked about: its resource is `epochs`."""

    def __init__(self, lr=1.0, epochs=1):
        self.lr, self.epochs = lr, epochs

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return np.zeros(len(x))


@pytest.mark.parametrize(("trials", "epochs"), [(9, 9), (27, 27), (20, 9)])
def test_stages_are_scikit_learns(trials, epochs):
    search = HalvingRandomSearchCV(
        Counted(), {"lr": stats.uniform()}, n_candidates=trials, resource="epochs", factor=3,
        min_resources=1, max_resources=epochs, cv=2, random_state=0, refit=False,
    ).fit(np.zeros((8, 1)), np.arange(8) % 2)  # fmt: skip
    ours = METHODS["halving"].rungs(Wish([Range("lr", 1e-4, 0.1)], trials, epochs))
    assert ours == list(zip(search.n_candidates_, search.n_resources_, strict=True))


def test_what_diverged_does_not_go_on():
    made = asked("halving", Wish([Choice("lr", (1.0, 2.0, 3.0))], 3, 3),
                 lambda s, e: -math.inf if s["lr"] > 1 else 0.5)  # fmt: skip
    assert [(t.settings["lr"], t.epochs) for t in made if t.epochs == 3] == [(1.0, 3)]


@pytest.mark.parametrize(
    ("axis", "value", "wanted"),
    [
        (Range("lr", 1e-4, 1e-1), 0.06, "upper tenth"),  # 93 % of the way
        (Range("lr", 1e-4, 1e-1), 0.045, ""),  # 88 %
        (Range("lr", 1e-4, 1e-1), 1.9e-4, "lower tenth"),  # 9 %
        (Range("momentum", 0.0, 0.9), 0.85, "upper tenth .* next momentum=0.4..1$"),
        (Range("momentum", 0.0, 0.9), 0.8, ""),
        (Choice("batch", (16, 32, 64)), 16, "least of 16,32,64"),
        (Choice("batch", (64, 16, 32)), 32, ""),
        (Choice("batch", (16, 32)), 16, ""),
        (Choice("optim", ("sgd", "adam", "adamw")), "sgd", ""),
        (Choice("precise_norm", (True, False)), True, ""),
    ],
)
def test_a_best_at_the_edge_is_told(axis, value, wanted):
    said = axis.edge(value)
    assert re.search(wanted, said) if wanted else said == ""


def test_optuna_searches_where_it_is_installed_and_is_asked_for_where_not(monkeypatch):
    wish = Wish([Range("lr", 1e-4, 1e-1), Choice("optim", ("sgd", "adamw"))], 30)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "optuna", None)
        with pytest.raises(sn.UsageError, match=r"pip install 'snellen\[search\]'"):
            METHODS["optuna"].rungs(wish)
    pytest.importorskip("optuna")

    def score(settings, epochs):
        return -abs(math.log10(settings["lr"]) + 2) - (settings["optim"] == "sgd")

    made = asked("optuna", wish, score)
    assert [t.settings for t in made] == [t.settings for t in asked("optuna", wish, score)]
    late = np.median([t.score for t in made[15:]])
    assert late > np.median([t.score for t in asked("random", wish, score)])


def search(pets, project, *words):
    return run_cli("tune", pets, *QUICK, f"project={project}", *words)


@pytest.fixture(scope="module")
def searched(pets, undrawn, tmp_path_factory):
    """A search of four trials, and its folder."""
    project = tmp_path_factory.mktemp("runs")
    ended = search(pets, project, "lr=1e-4..1e-1", "optim=momentum,adamw", "trials=4")
    return ended, project / "pets-tune-1"


def test_each_trial_is_a_run_and_the_table_is_of_their_scores(searched):
    ended, folder = searched
    assert ended.code == 0, ended.err
    trials = read_trials(folder)
    assert [trial.number for trial in trials] == [1, 2, 3, 4]
    for trial in trials:
        run = sn.load(folder / trial.runs[0])
        assert run.evaluate()["accuracy"] == pytest.approx(trial.score)
        assert {name: run.config["recipe"][name] for name in trial.settings} == trial.settings
    with open(folder / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [trial.score for trial in trials]
    best = max(trials, key=lambda trial: trial.rank)
    head, first, *_ = ended.out.splitlines()
    assert head.split()[:4] == ["trial", "lr", "optim", "accuracy"]
    assert first.split()[0] == str(best.number)
    assert json.loads((folder / "search.json").read_text())["score"] == "accuracy"


def test_the_last_line_trains_the_best_again(searched, tmp_path):
    ended, folder = searched
    best = max(read_trials(folder), key=lambda trial: trial.rank)
    words = shlex.split(ended.last)
    assert words[:2] == ["snellen", "train"]
    again = run_cli(*words[1:], f"project={tmp_path}", "doctor=no", "preflight=off")
    assert sn.load(again.last).metrics["loss"] == pytest.approx(best.loss, rel=1e-6)


def test_the_same_command_goes_on_with_more_trials_and_another_one_does_not(searched, pets):
    _, folder = searched
    before = {path.name for path in folder.iterdir()}
    words = ["lr=1e-4..1e-1", "optim=momentum,adamw"]
    ended = search(pets, folder.parent, *words, "trials=5")
    assert "4 are there already" in ended.err
    assert {path.name for path in folder.iterdir()} - before == {"trial5-1"}
    other = search(pets, folder.parent, "lr=1e-3,1e-2", "trials=1")
    assert other.code == 0
    assert (folder.parent / "pets-tune-2" / "trial1-1").is_dir()


@pytest.mark.parametrize("way", ["interrupted", "killed"])
def test_a_search_that_was_broken_off_goes_on_to_the_same_end(way, searched, pets, tmp_path,
                                                             monkeypatch):  # fmt: skip
    plain, steps = Session.after_step, []

    class Killed(BaseException):
        pass

    def after_step(session, loss, lr, samples):
        steps.append(1)
        if len(steps) == 8 and way == "interrupted":
            session._ask_to_stop()
        plain(session, loss, lr, samples)
        if len(steps) == 8:
            session.save()
        if len(steps) == 9:
            raise Killed

    words = ["lr=1e-4..1e-1", "optim=momentum,adamw", "trials=4"]
    with monkeypatch.context() as patch:
        patch.setattr(Session, "after_step", after_step)
        ended = search(pets, tmp_path, *words)
    if way == "interrupted":
        assert_well_said(ended, 130, ["interrupted after 2 of 4 trials", "same command goes on"])
    assert search(pets, tmp_path, *words).code == 0
    got = [(t.settings, t.score, t.loss) for t in read_trials(tmp_path / "pets-tune-1")]
    wanted = [(t.settings, t.score, t.loss) for t in read_trials(searched[1])[:4]]
    assert got == wanted
    assert len(list((tmp_path / "pets-tune-1").glob("trial*-*"))) == 4


def test_halving_resumes_its_runs(pets, tmp_path):
    ended = search(pets, tmp_path, "lr=1e-4..1e-2", "method=halving", "trials=3", "--epochs=3")
    assert_well_said(ended, 2, ["epochs is typed twice, 1 and 3"])
    words = [word for word in QUICK if word != "epochs=1"]
    ended = run_cli("tune", pets, *words, "lr=1e-4..1e-2", "method=halving", "trials=3",
                    "epochs=3", f"project={tmp_path}")  # fmt: skip
    folder = tmp_path / "pets-tune-1"
    assert ended.code == 0, ended.err
    trials = read_trials(folder)
    assert [trial.epochs for trial in trials] == [1, 1, 1, 3]
    assert len(list(folder.glob("trial*-*"))) == 3
    best = sn.load(folder / trials[-1].runs[0])
    assert best.config["recipe"]["epochs"] == 3
    assert "resume" in [event["kind"] for event in read_events(best.folder.events)]
    assert "epochs=3" in ended.last
    assert ended.out.splitlines()[1].split()[0] == str(trials[-1].number)


def test_folds_hold_out_each_picture_once_as_scikit_learns_do(pets, tmp_path):
    """The same sizes and the same share of each class in each fold; the score is their mean."""
    ended = search(pets, tmp_path, "lr=1e-3,1e-2", "trials=1", "folds=4")
    (trial,) = read_trials(tmp_path / "pets-tune-1")
    runs = [sn.load(tmp_path / "pets-tune-1" / name) for name in trial.runs]
    assert len(runs) == 4
    scores = [run.metrics["accuracy"] for run in runs]
    assert trial.score == pytest.approx(np.mean(scores))
    assert trial.spread == pytest.approx(np.std(scores, ddof=1))
    assert " +- " in ended.err
    parts = [open_data(pets, fold=f"{k}/4") for k in range(1, 5)]
    held = [sorted(part.val.path(i) for i in range(len(part.val))) for part in parts]
    assert len({path for fold in held for path in fold}) == sum(map(len, held)) == 30
    labels = np.arange(30) // 10
    sklearns = StratifiedKFold(4, shuffle=True, random_state=0).split(labels, labels)
    counts = sorted(np.bincount(labels[rows], minlength=3).tolist() for _, rows in sklearns)
    ours = sorted(part.val.labels().bincount(minlength=3).tolist() for part in parts)
    assert ours == counts
    assert [run.config["samples"]["val"] for run in runs] == [len(part.val) for part in parts]


def test_a_fold_does_not_depend_on_the_seed_and_is_of_the_training_part():
    first, second = (open_data("digits", fold="2/5", seed=seed) for seed in (0, 1))
    assert first.val.rows == second.val.rows
    whole = open_data("digits")
    assert len(first.train) + len(first.val) == len(whole.train)


def test_trials_that_diverge_or_cannot_be_are_the_worst_and_said(pets, tmp_path):
    words = ["optim=sgd,adagrad", "lr=0.01,1e9", "method=grid", "momentum=0.0"]
    ended = search(pets, tmp_path, *words)
    assert ended.code == 0, ended.err
    status = {(t.settings["optim"], t.settings["lr"]): t for t in
              read_trials(tmp_path / "pets-tune-1")}  # fmt: skip
    assert status["sgd", 1e9].status == "diverged"
    assert status["sgd", 1e9].score is None
    assert "diverged" in ended.err
    assert ended.out.splitlines()[1].split()[2] == "0.01"
    all_lost = search(pets, tmp_path, "optim=sgd", "lr=1e9,1e10")
    assert_well_said(all_lost, 4, ["each of 2 trials diverged"])
    ended = search(pets, tmp_path, "optim=adagrad,momentum", "momentum=0.9", "name=odd")
    (refused,) = [t for t in read_trials(tmp_path / "odd-tune-1") if t.status == "refused"]
    assert refused.settings == {"optim": "adagrad"}
    assert "has no momentum" in refused.why
    assert "has no momentum" in ended.err


def test_from_python_with_arrays(tmp_path):
    random = np.random.RandomState(0)
    y = np.arange(24) % 2
    x = (random.randint(0, 60, (24, 8, 8)) + 120 * y[:, None, None]).astype(np.uint8)
    how = {"model": "mlp", "epochs": 1, "batch": 8, "augment": "off", "project": tmp_path}
    found = [sn.tune((x, y), lr=["1e-3", "1e-2"], quiet=True, **how) for _ in range(2)]
    assert [one.path.name for one in found] == ["arrays-tune-1", "arrays-tune-2"]  # other data?
    assert found[0].best.rank == max(trial.rank for trial in found[0].trials)
    assert found[0].command.startswith("snellen train DATA model=mlp")


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        ("", 2, ["nothing is to be searched", "lr=1e-4..1e-1"]),
        ("lr=1e-1..1e-4", 2, ["lr=1e-1..1e-4 is no range; the smaller end comes first"]),
        ("lr=-1..1", 2, ["lr=-1"]),
        ("lr=0.1,0.1", 2, ["names a value twice"]),
        ("lr=0.1,", 2, ["lr= has no value"]),
        ("lr=1e-4..1e-1:x", 2, ["how many points"]),
        ("lr=1e-4..1e-1 method=grid", 2, ["method=grid wants points", "lr=0.0001..0.1:4"]),
        ("lr=0.1,0.2 method=grid trials=1", 2, ["the grid has 2 points"]),
        ("lr=0.1,0.2 method=bayes", 2, ["no 'bayes' in"]),
        ("optim=sgd,adamq", 2, ["did you mean adam"]),
        ("lrr=0.1..0.2", 2, ["no 'lrr' in settings; did you mean lr?"]),
        ("lr=0.1,0.2 trials=0", 2, ["trials=0: one or more"]),
        ("lr=0.1,0.2 trials=many", 2, ["trials='many' is not a whole number"]),
        ("lr=0.1,0.2 folds=1", 2, ["folds=1: two or more"]),
        ("lr=0.1,0.2 folds=3 fold=1/3", 2, ["folds=3 holds out each part in turn"]),
        ("lr=0.1,0.2 --resume runs/a-1", 2, ["the same `snellen tune` command goes on"]),
        ("lr=0.1,0.2 model=nonet", 2, ["none of 2 trials could be made", "no 'nonet' in models"]),
        ("lr=0.1,0.2 learning_rate=0.3", 2, ["lr is said twice"]),
        ("lr=0.1,0.2 learning_rate=0.3,0.4", 2, ["lr is said twice"]),
        ("lr=0.1,0.2 folds=99", 2, ["none of 2 trials could be made: 99 folds of 30 samples"]),
    ],
)
def test_what_cannot_be_searched_is_refused_and_leaves_nothing(words, code, wanted, pets, tmp_path):
    mine = [word for word in QUICK if not ("model" in words and "model" in word)]
    ended = run_cli("tune", pets, *mine, f"project={tmp_path / 'runs'}", *words.split())
    assert_well_said(ended, code, wanted)
    assert not list((tmp_path / "runs").glob("*"))


def test_data_that_are_not_there_are_told_at_once(tmp_path):
    ended = run_cli("tune", tmp_path / "pats", "lr=0.1,0.2", f"project={tmp_path / 'runs'}")
    assert_well_said(ended, 3, ["pats"])
    assert not list((tmp_path / "runs").glob("*"))
    assert_well_said(run_cli("tune", "lr=0.1,0.2"), 2, ["no data: snellen tune digits"])
