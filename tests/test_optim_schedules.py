"""Schedules against their closed forms and torch's schedulers; and in a training, resumed too."""

import csv
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

import snellen as sn
from snellen.optim import schedules
from snellen.optim.schedules import DECAYS, SCHEDULES, Moment
from snellen.train import checkpoint, recipe
from snellen.train.session import Session

STEPS = 60


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    """A report takes longer to draw than all of these trainings."""
    monkeypatch.setattr("snellen.train.finish.write_report", lambda *args: None)


def by_torch(make, num_steps=STEPS):
    """The factors that a torch scheduler gives at each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(num_steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


PEERS = {
    "step": (lambda t: schedules.step_decay(t, 7),
             lambda o: lr_scheduler.StepLR(o, 7, gamma=0.5)),
    "step, a tenth": (lambda t: schedules.step_decay(t, 20, 0.1),
                      lambda o: lr_scheduler.StepLR(o, 20, gamma=0.1)),
    "exponential": (lambda t: schedules.exponential_decay(t, 0.03),
                    lambda o: lr_scheduler.ExponentialLR(o, math.exp(-0.03))),
    "inverse": (lambda t: schedules.inverse_decay(t, 0.1),
                lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t))),
    "cosine": (lambda t: schedules.cosine(t / STEPS),
               lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "warmup-cosine": (
        lambda t: schedules.warmup_cosine(t / STEPS, warm=12 / STEPS),
        lambda o: lr_scheduler.SequentialLR(o, [
            lr_scheduler.LinearLR(o, 0.01, 1.0, total_iters=12),
            lr_scheduler.CosineAnnealingLR(o, STEPS - 12)], milestones=[12])),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # SequentialLR's own
@pytest.mark.parametrize("name", PEERS)
def test_schedule_is_torchs(name):
    own, peer = PEERS[name]
    assert [own(t) for t in range(STEPS)] == pytest.approx(by_torch(peer), abs=1e-9)


@pytest.mark.parametrize("t", range(0, 100, 7))
def test_decays_are_their_closed_forms(t):
    assert schedules.step_decay(t, 10) == 0.5 ** (t // 10)
    assert schedules.exponential_decay(t, 0.05) == pytest.approx(math.e ** (-0.05 * t))
    assert schedules.inverse_decay(t, 0.05) == pytest.approx(1 / (1 + 0.05 * t))
    with pytest.raises(sn.UsageError, match="every=0"):
        schedules.step_decay(t, 0)
    for decay in (schedules.inverse_decay, schedules.exponential_decay):
        with pytest.raises(sn.UsageError, match="rate=-0"):
            decay(t, -0.1)


@pytest.mark.parametrize("total", [7, 100, 999, 1437])
def test_step_decay_halves_at_the_very_step_that_ends_a_half_life(total):
    for halvings in (1, 3, 5):
        got = [SCHEDULES["step"](Moment(step / total, halvings)) for step in range(total)]
        assert got == [0.5 ** (step * halvings // total) for step in range(total)]


@pytest.mark.parametrize("name", DECAYS)
def test_half_life_is_when_a_decay_reaches_one_half(name):
    assert SCHEDULES[name](Moment(0.0, 4.0)) == 1.0
    assert SCHEDULES[name](Moment(0.25, 4.0)) == pytest.approx(0.5)
    values = [SCHEDULES[name](Moment(k / 100, 4.0)) for k in range(101)]
    assert all(a >= b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_stays_between_0_and_1(name):
    values = [SCHEDULES[name](Moment(k / 200)) for k in range(201)]
    assert all(0 <= v <= 1 for v in values)
    assert max(values) == 1.0


def test_the_settings_offer_what_there_is():
    from snellen.optim.by_name import OPTIMISERS

    assert set(recipe.SCHEDULES) == set(SCHEDULES)
    assert set(recipe.OPTIMISERS) == set(OPTIMISERS)


@pytest.mark.parametrize("warm", [-0.1, 1.0, 1.5])
def test_a_warm_up_that_leaves_no_time_for_the_cosine_is_refused(warm):
    for share in (0.0, 1.0):
        with pytest.raises(sn.UsageError, match=f"warm={warm}"):
            sn.optim.warmup_cosine(share, warm)
    assert sn.optim.warmup_cosine(1.0, 0.999) == pytest.approx(0.0)


# Watching the loss --------------------------------------------------------------------------------


def test_plateau_drops_once_on_a_planted_flat_stretch():
    falling, flat = [2.0 * 0.8**t for t in range(10)], [0.26] * 4
    again = [0.26 * 0.9**t for t in range(1, 12)]
    watch = sn.optim.LossWatch()
    factors = [watch.see(loss) for loss in (*falling, *flat, *again)]
    assert factors[:12] == [1.0] * 12
    assert set(factors[13:]) == {0.1}
    assert len(set(factors)) == 2


def test_plateau_never_drops_while_the_loss_falls_and_ignores_noise_below_one_percent():
    watch = sn.optim.LossWatch()
    assert {watch.see(2.0 * 0.98**t) for t in range(60)} == {1.0}
    assert watch.see(float("inf")) == 1.0
    noisy = sn.optim.LossWatch()
    values = [noisy.see(1.0 - 1e-4 * t) for t in range(4)]
    assert values[-1] == 0.1


def test_a_watch_speaks_pytorchs_words():
    losses = [2.0, 1.9, 1.85, 1.82, 1.0, 0.97, 0.95]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    how = {"factor": 0.3, "patience": 1, "threshold": 0.06}
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **how)
    watch, rates = sn.optim.LossWatch(**how), []
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert [watch.see(loss) for loss in losses] == rates
    assert rates == [1.0] * 6 + [0.3]
    assert watch.share == 0.3


def test_a_loss_below_zero_rests_and_falls_as_one_above():
    watch = sn.optim.LossWatch()
    assert [watch.see(-1.0) for _ in range(5)] == [1.0] * 3 + [0.1] * 2
    falling = sn.optim.LossWatch()
    assert {falling.see(-1.0 - 0.02 * t) for t in range(40)} == {1.0}
    crossing = sn.optim.LossWatch()
    assert {crossing.see(1.0 - 0.1 * t) for t in range(40)} == {1.0}


@pytest.mark.parametrize("factor", [0.0, 1.0, -0.1, float("nan"), "a tenth", None])
def test_a_watch_refuses_what_is_no_share_of_a_rate(factor):
    with pytest.raises(sn.UsageError, match="factor="):
        sn.optim.LossWatch(factor=factor)


def test_a_watch_goes_on_from_its_state_as_if_nothing_had_been():
    losses = [2.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9, 0.9]
    whole = sn.optim.LossWatch()
    want = [whole.see(loss) for loss in losses]
    for cut in range(len(losses)):
        first, second = sn.optim.LossWatch(), sn.optim.LossWatch()
        got = [first.see(loss) for loss in losses[:cut]]
        second.restore(first.state())
        assert got + [second.see(loss) for loss in losses[cut:]] == want


# Momentum -----------------------------------------------------------------------------------------


def test_momentum_rises_in_a_straight_line_from_a_half_to_99_hundredths():
    epochs = 50
    got = [sn.optim.rising_momentum(epoch / epochs) for epoch in range(epochs + 1)]
    assert got == pytest.approx([0.5 + 0.49 * epoch / epochs for epoch in range(epochs + 1)])
    assert (got[0], got[-1]) == (0.5, 0.99)


@pytest.mark.parametrize(("kind", "key"), [
    (torch.optim.SGD, "momentum"), (torch.optim.RMSprop, "momentum"),
    (sn.optim.CaffeSGD, "momentum"), (torch.optim.AdamW, "betas"),
])  # fmt: skip
def test_momentum_is_set_where_the_optimiser_has_it(kind, key):
    optimizer = kind([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(2)]}], lr=0.1)
    kept = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("params", key)}
    sn.optim.set_momentum(optimizer, 0.77)
    for group in optimizer.param_groups:
        assert {k: v for k, v in group.items() if k not in ("params", key)} == kept
        assert (group[key][0] if key == "betas" else group[key]) == 0.77
    with pytest.raises(sn.UsageError, match="momentum=1"):
        sn.optim.set_momentum(optimizer, 1.0)


@pytest.mark.parametrize("name", ["Adagrad", "Adadelta", "ASGD", "Rprop"])
def test_an_optimiser_without_momentum_says_so_and_stays_as_it_was(name):
    optimizer = getattr(torch.optim, name)([torch.zeros(1)])
    before = dict(optimizer.param_groups[0])
    with pytest.raises(sn.UsageError, match=f"{name} has no momentum"):
        sn.optim.set_momentum(optimizer, 0.9)
    assert optimizer.param_groups[0] == before


def test_a_momentum_of_rmsprop_may_rise_from_0():
    w = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.RMSprop([w], lr=0.01)
    x, squares, velocity = torch.ones(2), torch.zeros(2), torch.zeros(2)
    for step, momentum in enumerate((0.0, 0.5, 0.9)):
        sn.optim.set_momentum(optimizer, momentum)
        w.grad = w.detach().clone()
        optimizer.step()
        squares = 0.99 * squares + 0.01 * x**2
        pull = x / (squares.sqrt() + 1e-8)
        velocity = momentum * velocity + pull * (step > 0)  # PyTorch keeps none of a step without
        x = x - 0.01 * (velocity if step else pull)
    torch.testing.assert_close(w.detach(), x)


# In a training ------------------------------------------------------------------------------------

TINY = {"epochs": 3, "batch": 20, "lr": 0.01, "quiet": True, "doctor": False, "split": 0.25}


def data():
    torch.manual_seed(0)
    y = torch.arange(80) % 2
    return (torch.randn(80, 1, 6, 6) + y.view(-1, 1, 1, 1)).numpy(), y.numpy()


def train(project, **settings):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 2))
    return sn.train(data(), model=net, project=project, **{**TINY, **settings})


def rates(monkeypatch, project, **settings):
    """The learning rate and the first group of the optimiser at each step."""
    seen = []

    def after_step(session, loss, lr, samples):
        seen.append((lr, dict(session.loop.optimisers[0][1].param_groups[0])))

    with monkeypatch.context() as patch:
        patch.setattr(Session, "after_step", after_step)
        train(project, **settings)
    return seen


def test_a_training_follows_the_schedule_and_raises_its_momentum(tmp_path, monkeypatch):
    seen = rates(monkeypatch, tmp_path, epochs=4, schedule="step", half_life=2, optim="momentum",
                 momentum=0.5, momentum_end=0.99)  # fmt: skip
    assert len(seen) == 12
    assert [lr for lr, _ in seen] == pytest.approx([0.01] * 6 + [0.005] * 6)
    moments = [group["momentum"] for _, group in seen]
    assert moments == pytest.approx([0.5 + 0.49 * step / 12 for step in range(12)])


def test_a_training_on_a_plateau_gets_a_tenth_of_its_rate(tmp_path, monkeypatch):
    seen = rates(monkeypatch, tmp_path, epochs=8, schedule="plateau", lr=1e-7, optim="sgd")
    by_epoch = [lr for lr, _ in seen[::3]]
    assert by_epoch[:3] == pytest.approx([1e-7] * 3)
    assert by_epoch[4:7] == pytest.approx([1e-8] * 3)


WAYS = [
    {"schedule": "plateau", "optim": "nesterov", "lr": 1e-4, "epochs": 7},
    {"schedule": "step", "half_life": 1, "optim": "caffe"},
    {"schedule": "warmup-cosine", "optim": "adagrad"},
    {"schedule": "exponential", "optim": "adadelta"},
    {
        "schedule": "inverse",
        "optim": "rmsprop",
        "momentum_end": 0.9,
        "l1": 1e-3,
        "max_norm": 1.0,
        "clip": 0.5,
    },
]


@pytest.mark.parametrize("settings", WAYS, ids=lambda s: s["schedule"])
def test_resume_is_bit_identical(settings, tmp_path, monkeypatch):
    class Broken(BaseException):
        pass

    whole = train(tmp_path / "whole", **settings)
    plain, cut_at = Session.after_step, 3 * settings.get("epochs", 3) - 4

    def after_step(session, loss, lr, samples):
        plain(session, loss, lr, samples)
        if session.loop.position.step == cut_at:
            session.save()
        if session.loop.position.step == cut_at + 1:
            raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(Session, "after_step", after_step)
        with pytest.raises(Broken):
            train(tmp_path / "cut", **settings)
    (folder,) = (tmp_path / "cut").iterdir()
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 2))
    cut = sn.train(data(), model=net, resume=folder, quiet=True)
    one, two = (checkpoint.load(run.path / "weights")[0].weights for run in (whole, cut))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert whole.folder.metrics.read_text() == cut.folder.metrics.read_text()


def test_a_checkpoint_of_an_older_version_without_a_watch_still_loads(tmp_path, monkeypatch):
    plain = checkpoint.save

    def older(folder, whole):
        whole.state["loop"].pop("watch")
        return plain(folder, whole)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", older)
        run = train(tmp_path)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 2))
    assert sn.train(data(), model=net, resume=run.path, epochs=4, quiet=True).status == "finished"


@pytest.mark.parametrize(("settings", "words"), [
    ({"half_life": 5}, "schedule=onecycle"),
    ({"half_life": 5, "schedule": "plateau"}, "step, exponential, inverse"),
    ({"optim": "adagrad", "momentum": 0.9}, "adagrad has no momentum"),
    ({"optim": "adadelta", "momentum_end": 0.9}, "momentum_end=0.9"),
])  # fmt: skip
def test_a_setting_that_would_do_nothing_is_refused(settings, words, tmp_path):
    with pytest.raises(sn.UsageError, match=words):
        train(tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_max_norm_l1_and_clip_of_a_recipe_do_what_they_say(tmp_path, monkeypatch):
    norms = []
    plain = nn.utils.clip_grad_norm_

    def clip(params, limit):
        params = list(params)
        norm = plain(params, limit)
        norms.append(torch.cat([p.grad.flatten() for p in params]).norm().item())
        return norm

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clip)
    run = train(tmp_path, optim="sgd", lr=5.0, max_norm=0.5, clip=0.05, l1=0.01, weight_decay=0.0)
    assert len(norms) == 9
    assert max(norms) <= 0.05 * (1 + 1e-5)
    weights = checkpoint.load(run.path / "weights")[0].weights
    for name in ("1.weight", "3.weight"):
        assert (weights[name].norm(dim=1) <= 0.5 * (1 + 1e-6)).all()
    with open(run.folder.metrics) as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "train" and r["epoch"] == "3"]
    parts = {r["name"]: float(r["value"]) for r in rows}
    assert parts["loss"] == pytest.approx(parts["train_loss"] + parts["train_l1"], rel=1e-5)
    longest = 0.5 * (4 * 36**0.5 + 2 * 4**0.5)  # |w| of units of norm 0.5 that are flat
    assert 0 < parts["train_l1"] <= 0.01 * longest
    assert "train_weight_decay" not in parts


def test_a_run_reports_each_penalty_apart_from_the_loss_of_the_data(tmp_path, capsys):
    run = train(tmp_path, optim="sgd", l1=0.01, weight_decay=0.2, epochs=2, quiet=False)
    with open(run.folder.metrics) as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "train" and r["epoch"] == "2"]
    parts = {r["name"]: float(r["value"]) for r in rows}
    weights = checkpoint.load(run.path / "weights")[0].weights
    squares = sum(w.square().sum().item() for w in weights.values() if w.ndim > 1)
    assert parts["train_weight_decay"] == pytest.approx(0.2 / 2 * squares, rel=1e-5)
    assert parts["loss"] == pytest.approx(parts["train_loss"] + parts["train_l1"], rel=1e-5)
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 2/2")]
    assert "accuracy" in last[0]
    assert "l1" not in last[0]


def test_a_run_with_decoupled_decay_reports_no_penalty_of_it(tmp_path):
    run = train(tmp_path, optim="adamw", weight_decay=0.2)
    with open(run.folder.metrics) as file:
        assert not [r for r in csv.DictReader(file) if "weight_decay" in r["name"]]


# Stopping early -----------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_epoch_and_says_that_the_training_loss_still_fell(tmp_path):
    torch.manual_seed(0)
    x, y = torch.randn(200, 1, 6, 6).numpy(), (torch.arange(200) % 2).numpy()  # nothing to learn
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 2))
    run = sn.train((x, y), model=net, project=tmp_path, epochs=60, patience=3, lr=3e-3,
                   schedule="constant", quiet=True, doctor=False)  # fmt: skip
    assert run.status == "stopped early"
    with open(run.folder.metrics) as file:
        rows = list(csv.DictReader(file))
    scores = [float(r["value"]) for r in rows if (r["split"], r["name"]) == ("val", "accuracy")]
    train_losses = [float(r["value"]) for r in rows if (r["split"], r["name"]) == ("train", "loss")]
    best = scores.index(max(scores))
    assert len(scores) == best + 1 + 3
    assert run.metrics["accuracy"] == max(scores)
    assert len({float(s) for s in scores}) > 1
    saved, meta = checkpoint.load_weights(run.folder.best)
    assert meta["epoch"] == best + 1
    checkpoint.fit_into(net, saved)
    said = run.folder.log.read_text()
    assert train_losses[-1] < train_losses[-2] < train_losses[-3]
    assert "training loss was still falling" in said


def test_early_stopping_does_not_say_so_of_a_loss_that_had_come_to_rest(tmp_path):
    run = train(tmp_path, patience=2, epochs=30, lr=0.0)
    assert run.status == "stopped early"
    assert "still falling" not in run.folder.log.read_text()


def test_the_best_weights_score_what_the_run_says(tmp_path):
    run = train(tmp_path, epochs=6)
    x, y = data()
    images = list(run.predict(x))
    assert len(images) == len(y)
    assert F.one_hot(torch.from_numpy(y)).shape == (80, 2)
