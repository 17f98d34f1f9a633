"""Which epoch's weights a run keeps, and what patience counts."""

import csv
import math

import numpy as np
import pytest

import snellen as sn
from snellen.train import checkpoint
from snellen.train.standing import Standing

NAN = math.nan
SERIES = {  # of (score, loss) for each epoch -> the epoch that is kept
    "the higher score": ([(0.2, 1), (0.4, 9), (0.3, 0)], 2),
    "of equal scores the lower loss": ([(0, 3), (0, 1), (0, 2)], 2),
    "a loss that falls at the ceiling": ([(1, 0.3), (1, 0.2), (1, 0.1)], 3),
    "of equal scores and losses the later": ([(0, 3), (0, 3)], 2),
    "of equal scores and no losses the later": ([(0, NAN), (0, NAN)], 2),
    "a loss rather than none": ([(0, NAN), (0, 3), (0, NAN)], 2),
    "a score rather than none": ([(NAN, 1), (0.1, 2), (NAN, 0)], 2),
}


@pytest.mark.parametrize("name", SERIES)
def test_the_best_epoch_is(name):
    best, (series, wanted) = Standing(), SERIES[name]
    for epoch, (score, loss) in enumerate(series, 1):
        best.takes(epoch, {"accuracy": score, "loss": loss}, "accuracy")
    assert best.epoch == wanted
    assert best.metrics["loss"] == series[wanted - 1][1] or math.isnan(best.metrics["loss"])


def test_without_a_score_the_loss_decides():
    best = Standing()
    taken = [best.takes(i, {"loss": loss}, "accuracy") for i, loss in enumerate([3, 2, 2.5], 1)]
    assert taken == [True, True, False]
    assert best.score == -2


def test_patience_waits_while_a_poor_score_stands_and_the_loss_falls_but_not_at_a_perfect_one():
    for score, stale in ((0.0, 0), (1.0, 3)):
        best = Standing()
        for epoch in range(1, 5):
            assert best.takes(epoch, {"mAP": score, "loss": 1 / epoch}, "mAP")
        assert best.stale == stale


@pytest.mark.parametrize("scores", [(0.97, 0.98, 0.99), (20.0, 21.0, 22.0), (0.9, 1.0, 1.1)])
def test_a_score_that_rises_starts_patience_anew_however_high_it_is(scores):
    best = Standing()
    for epoch, score in enumerate(scores, 1):
        assert best.takes(epoch, {"score": score, "loss": 1.0}, "score")
        assert best.stale == 0


def test_what_older_versions_stored_is_gone_on_with():
    old = {"score": 0.5, "epoch": 2, "stale": 1, "metrics": {"mAP": 0.5, "loss": 2.0}}
    best = Standing(**old, history=[])
    assert not best.takes(4, {"mAP": 0.5, "loss": 2.5}, "mAP")
    assert (best.epoch, best.stale) == (2, 2)
    assert best.takes(5, {"mAP": 0.5, "loss": 1.5}, "mAP")
    assert (best.epoch, best.stale) == (5, 0)


def test_a_run_keeps_the_network_with_the_lowest_loss_of_those_that_get_everything_right(tmp_path):
    rng, y = np.random.default_rng(0), np.arange(120) % 2
    x = (rng.integers(0, 99, (120, 16, 16)) + 120 * y[:, None, None]).astype(np.uint8)
    run = sn.train((x, y), model="lenet5_bn", imgsz=16, batch=24, epochs=6, lr=1e-3, quiet=True,
                   project=tmp_path, doctor=False)  # fmt: skip
    with open(run.folder.metrics) as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    said = {name: [float(r["value"]) for r in rows if r["name"] == name]
            for name in ("accuracy", "loss")}  # fmt: skip
    assert said["accuracy"].count(1.0) > 1
    right = [i for i, score in enumerate(said["accuracy"]) if score == 1]
    best = min(right, key=said["loss"].__getitem__)
    assert best != right[0]
    _, meta = checkpoint.load_weights(run.folder.best)
    assert meta["epoch"] == best + 1
    assert run.metrics["loss"] == pytest.approx(said["loss"][best])
