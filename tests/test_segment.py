"""task=segment: maps survive encoding, scores are other libraries', VOID is never counted."""

import csv
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from running import run_cli
from torch import nn
from torch.nn import functional as F

import snellen as sn
from snellen.core import registry
from snellen.core.errors import DataError, SnellenError, UsageError
from snellen.data.augment import compose
from snellen.data.open import open_data
from snellen.data.sample import VOID, Batch, Prediction, Sample, Target
from snellen.data.source import SampleSet, Source
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.models.unet import Unet
from snellen.tasks._pixels import PixelScores
from snellen.tasks.segment import Segment

AUGMENTS = registry.collect("snellen.data.augment", "AUGMENTS")
SMALL = {"epochs": 2, "batch": 8, "quiet": True, "doctor": False, "preflight": "off"}


def maps(count, size=(17, 23), classes=4, seed=0, void=0.1):
    """Random maps in blocks, some pixels of no class."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, (count, 1, 5, 6), generator=random).float()
    found = F.interpolate(coarse, size, mode="nearest")[:, 0].long()
    return found.masked_fill(torch.rand(found.shape, generator=random) < void, VOID)


def samples(truth):
    """Pictures that show their maps: gray level by class."""
    return [Sample((40 * m.clamp(max=5) + 20).to(torch.uint8)[None], Target(semantic_HW=m), i)
            for i, m in enumerate(truth)]  # fmt: skip


class Few(SampleSet):
    def __init__(self, held):
        self.held = held

    def __len__(self):
        return len(self.held)

    def __getitem__(self, i):
        return self.held[i]


def task_on(held, classes=4, imgsz=None):
    names = tuple(str(k) for k in range(classes))
    return Segment.from_source(Source("few", "maps", Few(held), names), imgsz)


def scored(said, true, classes=4):
    scores = PixelScores([str(k) for k in range(classes)])
    scores.update([Prediction(semantic_HW=m) for m in said],
                  [Target(semantic_HW=m) for m in true])  # fmt: skip
    return scores.compute()


@pytest.fixture
def _no_drawing(monkeypatch):
    """A report takes longer to draw than a training here."""
    monkeypatch.setattr("snellen.train.finish.write_report", lambda *args: None)


# Scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_scikit_learns_over_all_pixels_of_the_data(seed):
    from sklearn.metrics import accuracy_score, f1_score, jaccard_score

    true, said = maps(5, seed=seed), maps(5, seed=seed + 50, void=0)
    said = torch.where(torch.rand(said.shape, generator=torch.Generator().manual_seed(seed)) < 0.6,
                       true.where(true != VOID, 0), said)  # fmt: skip
    t, s = true[true != VOID].numpy(), said[true != VOID].numpy()
    found = scored(said, true)
    assert found["mIoU"] == pytest.approx(jaccard_score(t, s, average="macro"), abs=1e-12)
    assert found["accuracy"] == pytest.approx(accuracy_score(t, s), abs=1e-12)
    each = jaccard_score(t, s, average=None)
    assert [found[f"IoU/{k}"] for k in range(4)] == pytest.approx(each.tolist(), abs=1e-12)
    things = f1_score(t, s, average="macro", labels=[1, 2, 3])
    assert found["Dice"] == pytest.approx(things, abs=1e-12)


def test_scores_are_torchmetrics_also_where_a_class_never_occurs():
    from torchmetrics.classification import MulticlassJaccardIndex

    true, said = maps(4, classes=3), maps(4, classes=3, seed=9, void=0)
    theirs = MulticlassJaccardIndex(6, average="macro", ignore_index=VOID)
    for t, s in zip(true, said, strict=True):
        theirs.update(s[None], t[None])
    assert scored(said, true, 6)["mIoU"] == pytest.approx(float(theirs.compute()), abs=1e-6)


def test_scores_are_of_the_data_set_and_not_means_over_images():
    """A class that one image lacks: two images of IoU 1 and 1/2 are not .75 by their mean."""
    true = torch.tensor([[[0, 0, 0, 0]], [[0, 1, 1, 0]]])
    said = torch.tensor([[[0, 0, 0, 0]], [[0, 1, 0, 0]]])
    assert scored(said, true, 2)["mIoU"] == pytest.approx((6 / 7 + 1 / 2) / 2)
    alone = [scored(said[i : i + 1], true[i : i + 1], 2)["mIoU"] for i in (0, 1)]
    assert sum(alone) / 2 != pytest.approx((6 / 7 + 1 / 2) / 2)


def test_order_mirrors_and_pixels_without_a_class_change_no_score():
    true, said = maps(6), maps(6, seed=3, void=0)
    found = scored(said, true)
    assert scored(said.flip(0), true.flip(0)) == found
    assert scored(said.flip(-1), true.flip(-1)) == found
    assert scored(said.mT, true.mT) == found
    other = torch.where(true == VOID, (said + 1) % 4, said)
    assert not torch.equal(other, said)
    assert scored(other, true) == found
    assert scored(other, true.masked_fill(true == VOID, 7)) == found  # a class not known


def test_scores_of_nothing_are_numbers_and_sizes_must_agree():
    assert all(value == 0 for value in PixelScores(["a", "b"]).compute().values())
    void = torch.full((1, 3, 3), VOID)
    assert scored(torch.zeros_like(void), void)["mIoU"] == 0
    with pytest.raises(DataError, match="true"):
        scored(torch.zeros(1, 3, 4).long(), void)


def test_all_background_does_not_look_good():
    source = open_data("shapes", task="segment")
    assert source.classes[0] == "ground"
    few = WorldSet(1, 100, World())
    task = Segment.from_source(Source("few", "shapes", few, source.classes))
    baseline = task.baseline(few)
    pixels = torch.cat([sample.target.semantic_HW.flatten() for sample in few])
    share = float((pixels == 0).double().mean())
    assert baseline["accuracy"] == pytest.approx(share)
    assert baseline["mIoU"] == pytest.approx(share / 7)
    assert baseline["accuracy"] > 0.8
    assert baseline["mIoU"] < 0.13
    assert baseline["Dice"] == 0


@pytest.mark.parametrize(
    "name", ["Background", "_background_", "BACKGROUND", "void", "0", "ground"]
)
def test_a_ground_is_no_thing_however_its_name_is_written(name):
    ground, things = PixelScores([name, "cat"]), PixelScores(["underground", "cat"])
    for scores in (ground, things):
        said, true = torch.zeros(1, 2, 4).long(), torch.tensor([[[0, 0, 0, 1], [0, 0, 0, 0]]])
        scores.update([Prediction(semantic_HW=said[0])], [Target(semantic_HW=true[0])])
    assert ground.compute()["Dice"] == 0
    assert things.compute()["Dice"] > 0.4


def test_the_baseline_holds_one_sample_at_a_time_and_reads_each_once():
    class Watched(Few):
        alive, most, reads = 0, 0, 0

        def __getitem__(self, i):
            sample = Sample(
                self.held[i].image_CHW, Target(semantic_HW=self.held[i].target.semantic_HW)
            )
            self.reads += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(sample, self.gone)
            return sample

        def gone(self):
            self.alive -= 1

    held = samples(maps(30))
    task, part = task_on(held), Watched(held)
    counts = torch.cat([s.target.semantic_HW.flatten() for s in held]).bincount(minlength=4)[:4]
    assert task.baseline(part)["accuracy"] == pytest.approx(float(counts.max() / counts.sum()))
    assert (part.reads, part.most <= 2) == (30, True)


# Encoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("imgsz", [None, 64, 97])
@pytest.mark.parametrize("sizes", [[(17, 23)], [(33, 20), (40, 40), (9, 31)], [(1, 5), (8, 8)]])
def test_perfect_answers_score_1_at_any_size_that_is_not_shrunk(sizes, imgsz):
    held = samples([maps(1, size, seed=i)[0] for i, size in enumerate(sizes * 2)])
    task = task_on(held, imgsz=imgsz)
    assert task.ceiling == 1.0
    batch = task.encode(held)
    found = task.decode(task.oracle(batch), batch)
    true = [s.target.semantic_HW for s in held]
    assert [f.semantic_HW.shape for f in found] == [m.shape for m in true]
    for said, map_HW in zip(found, true, strict=True):
        known = map_HW != VOID
        assert torch.equal(said.semantic_HW[known], map_HW[known])


def test_a_smaller_input_says_that_it_loses_and_still_lies_right():
    held = samples(maps(4, (120, 90), void=0))
    task = task_on(held, imgsz=48)
    assert task.ceiling < 1
    batch = task.encode(held)
    said = [p.semantic_HW for p in task.decode(task.oracle(batch), batch)]
    true = torch.stack([s.target.semantic_HW for s in held])
    score = scored(said, true)["mIoU"]
    assert task.ceiling < score < 1
    assert scored(torch.stack(said).roll(4, -1), true)["mIoU"] < score - 0.1


def test_picture_and_map_lie_together_in_the_input():
    """Gray levels tell the class: they must agree in the padded, enlarged input too."""
    held = samples([maps(1, size, void=0)[0] for size in ((20, 40), (40, 40), (40, 13))])
    batch = task_on(held).encode(held)
    known = batch.y["semantic"] != VOID
    levels = (batch.x[:, 0].float() - 20) / 40
    inside = known & ((levels - levels.round()).abs() < 1e-6)  # not where two classes blend
    assert inside.sum() > 0.5 * known.sum()
    assert torch.equal(levels[inside], batch.y["semantic"][inside].float())
    assert not known[0, 20:].any()
    assert not known[2, :, 13:].any()


@pytest.mark.parametrize("word", sorted(AUGMENTS))
def test_augmentation_moves_map_and_picture_alike(word):
    """Three gray levels: where a moved pixel has a level clearly, the map must say that class."""
    held = samples(maps(8, (48, 64), classes=3, void=0))
    task = task_on(held, 3)
    batch = task.encode(held)
    augment = compose(word).fit(Few(held))
    moved = augment(batch, torch.Generator().manual_seed(1))
    y = moved.y["semantic"]
    assert y.dtype == torch.uint8
    assert y.shape[-2:] == moved.x.shape[-2:]
    if torch.equal(moved.x, batch.x) or not _is_geometry(word):
        assert torch.equal(y, batch.y["semantic"])
        return
    levels = (moved.x[:, 0].float() - 20) / 40
    clear = ((levels - levels.round()).abs() < 0.02) & (levels > -0.02) & (y != VOID)
    agree = levels.round()[clear] == y[clear]
    assert clear.float().mean() > 0.3
    assert agree.float().mean() > 0.97


def _is_geometry(word):
    """Whether a bright dot in the middle of each of many pictures goes elsewhere."""
    x = torch.zeros(32, 1, 33, 33, dtype=torch.uint8)
    y = {"semantic": torch.zeros(32, 33, 33, dtype=torch.uint8)}
    y["semantic"][:, 10:14, 8:20] = 1
    batch = Batch(x, y, torch.arange(32), torch.full((32, 2), 33))
    moved = compose(word)(batch, torch.Generator().manual_seed(0)).y["semantic"]
    return moved.shape != y["semantic"].shape or not torch.equal(moved, y["semantic"])


def test_what_is_wrong_with_a_sample_is_said_and_teaches_nothing():
    good = maps(1, void=0)[0]
    task, picture = task_on(samples([good])), torch.zeros(1, 17, 23, dtype=torch.uint8)
    strange = good.clone()
    strange[0, :3] = torch.tensor([9, 300, -2])
    cases = {
        "map-missing": Target(label=3),
        "map-size": Target(semantic_HW=good[:-1]),
        "label-out-of-range": Target(semantic_HW=strange),
        "map-empty": Target(semantic_HW=torch.full_like(good, VOID)),
    }
    for id, target in cases.items():
        found = task.check(Sample(picture, target))
        assert {p.id for p in found} == {id}
    assert task.check(Sample(picture, Target(semantic_HW=good))) == []
    for id in ("map-missing", "map-size"):
        with pytest.raises(DataError, match="no map"):
            task.encode([Sample(picture, cases[id])])
    batch = task.encode([Sample(picture, Target(semantic_HW=strange))])
    assert (batch.y["semantic"][0, 0, :3] == VOID).all()
    assert torch.equal(batch.y["semantic"][0, 1:].long(), good[1:])
    assert (task.encode([Sample(picture, Target())]).y["semantic"] == VOID).all()  # to be predicted


# Loss ---------------------------------------------------------------------------------------


class Fixed(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, out):
        super().__init__()
        self.out = nn.Parameter(out)

    def forward(self, x):
        return self.out


def fixed(loss, true):
    task = task_on(samples(maps(2)))
    task.spec["loss"] = loss
    net = Fixed(torch.randn(len(true), 4, *true.shape[1:],
                            generator=torch.Generator().manual_seed(0)))  # fmt: skip
    batch = Batch(torch.zeros(len(true), 1, *true.shape[1:]), {"semantic": true.to(torch.uint8)},
                  torch.arange(len(true)), torch.tensor([true.shape[1:]] * len(true)))  # fmt: skip
    return task.loss(net, batch)["loss"], net.out


@pytest.mark.parametrize("loss", ["cross_entropy", "dice"])
def test_loss_is_the_mean_over_pixels_with_a_class(loss):
    true = maps(2)
    value, out = fixed(loss, true)
    wanted = F.cross_entropy(out, true, ignore_index=VOID)
    wanted = wanted + sn.nn.dice_loss(out, true) if loss == "dice" else wanted
    torch.testing.assert_close(value, wanted)
    value.backward()
    assert (out.grad.movedim(1, -1)[true == VOID] == 0).all()
    nothing, out = fixed(loss, torch.full_like(true, VOID))
    nothing.backward()
    assert nothing == 0
    assert (out.grad == 0).all()


def test_auxiliary_heads_learn_by_half():
    held = samples(maps(2, (32, 40)))
    task = task_on(held)
    net = sn.model("fcn_resnet50", classes=4, channels=1, aux=True, depths=(1, 1, 1, 1), width=8)
    batch = task.encode(held)
    batch = Batch(batch.x.float() / 255, batch.y, batch.index_B, batch.sizes_B2)
    net = task.build(net)
    parts = task.loss(net.train(), batch)
    assert list(parts) == ["loss", "aux0"]
    larger = F.interpolate(net.aux_logits[0], (32, 40), mode="bilinear")
    wanted = F.cross_entropy(larger, batch.y["semantic"].long(), ignore_index=VOID)
    torch.testing.assert_close(parts["aux0"], 0.5 * wanted)
    assert list(task.loss(net.eval(), batch)) == ["loss"]


def test_another_loss_is_refused_by_name():
    task = task_on(samples(maps(2)))
    task.spec["loss"] = "dise"
    with pytest.raises(SnellenError, match="did you mean dice"):
        task.build(nn.Identity())


# Whole trainings ----------------------------------------------------------------------------


def folder(root: Path, count=12, size=(24, 40)) -> Path:
    """Pictures beside masks, as a user has them; bright squares are the thing."""
    random = np.random.RandomState(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for i in range(count):
        mask = np.zeros(size, np.uint8)
        top, left = random.randint(0, size[0] - 10), random.randint(0, size[1] - 10)
        mask[top : top + 10, left : left + 10] = 1
        pixels = (60 + 130 * mask[..., None] + random.randint(0, 30, (*size, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    return root


def thin(classes=2, channels=3):
    torch.manual_seed(0)
    return Unet(0, 0, (8, 12, 16), 1, norm=True, stem="halving").build(classes, channels)


def test_users_folder_trains_evaluates_predicts_and_resumes(tmp_path):
    data, masks = folder(tmp_path / "data"), tmp_path / "out"
    run = sn.train(data, task="segment", project=tmp_path / "runs", **SMALL)
    assert run.status == "finished"
    assert "could not be made" not in (run.path / "report.html").read_text()
    assert "not written" not in (run.path / "log.txt").read_text()
    head, *rows = list(csv.reader((run.path / "predictions.csv").read_text().splitlines()))
    assert head == ["file", "label", "score", "share"]
    assert {row[1] for row in rows} <= {"background", "object"}
    assert run.evaluate() == pytest.approx(run.metrics, abs=1e-6)
    *table, last = run_cli("eval", run.path).out.strip().splitlines()
    assert json.loads(last)["mIoU"] == pytest.approx(run.metrics["mIoU"], abs=1e-6)
    assert sum(line.startswith("IoU  ") for line in table) == 2
    files = [str(data / "images" / f"{i}.png") for i in range(3)]
    said = run_cli("predict", run.path, *files, "--masks", masks, "--json").out
    told = [json.loads(line) for line in said.splitlines()]
    for file, said in zip(files, run.predict(files), strict=True):
        own = [one for one in told if one["file"] == file]
        assert sum(one["share"] for one in own) == pytest.approx(1, abs=1e-5)
        with Image.open(own[0]["mask"]) as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.asarray(picture), said.semantic_HW.numpy())
    assert sn.train(resume=run.path, epochs=3, quiet=True).status == "finished"


@pytest.mark.usefixtures("_no_drawing")
def test_masks_of_pictures_of_one_name_do_not_meet_and_other_tasks_have_none(tmp_path):
    data = folder(tmp_path / "data", 8)
    (tmp_path / "b").mkdir()
    files = [data / "images" / "0.png", tmp_path / "b" / "0.png"]
    files[1].write_bytes(files[0].read_bytes())
    run = sn.train(data, task="segment", model=thin(), project=tmp_path / "runs", **SMALL)
    told = list(run.predict_files(files, masks=tmp_path / "out"))
    assert {Path(one["mask"]).name for one in told} == {"0_mask.png", "0-2_mask.png"}
    other = sn.train(
        "digits", model="lenet5_bn", project=tmp_path / "runs", **{**SMALL, "epochs": 1}
    )
    with pytest.raises(UsageError, match="task=segment"):
        list(other.predict_files(files, masks=tmp_path / "out"))


@pytest.mark.usefixtures("_no_drawing")
def test_answers_do_not_depend_on_the_batch_and_have_the_pictures_size(tmp_path):
    world = World(height=40, width=48)
    parts = WorldSet(0, 16, world), WorldSet(1, 8, world)
    source = Source(
        "few", "shapes", parts[0], open_data("shapes", task="segment").classes, parts[1]
    )
    run = sn.train(source, task="segment", model=thin(7), project=tmp_path, **SMALL)
    pictures = [WorldSet(2, 6, World(height=h, width=w))[i].image_CHW.permute(1, 2, 0).numpy()
                for i, (h, w) in enumerate([(40, 48), (41, 53), (97, 33), (16, 200)])]  # fmt: skip
    for picture, many in zip(pictures, run.predict(pictures), strict=True):
        assert many.semantic_HW.shape == picture.shape[:2]
        (alone,) = run.predict([picture])
        assert (alone.semantic_HW != many.semantic_HW).float().mean() < 0.01
        torch.testing.assert_close(alone.scores_K, many.scores_K, atol=0.02, rtol=0.02)


def squares(count, seed):
    """Gray pictures, a bright square (1) and a dark one (2) on each."""
    random = np.random.RandomState(seed)
    y = np.zeros((count, 33, 41), np.int64)
    for map_HW in y:
        for k in (1, 2):
            top, left = random.randint(0, 23), random.randint(0, 31)
            map_HW[top : top + 10, left : left + 10] = k
    x = np.array([120, 190, 50])[y] + random.randint(-25, 25, y.shape)
    return x.astype(np.uint8), y


@pytest.mark.usefixtures("_no_drawing")
def test_it_learns_from_arrays_at_an_odd_size_and_not_from_maps_of_other_pictures(tmp_path):
    train, val = squares(160, 0), squares(40, 1)
    dealt = (train[0], train[1][np.random.RandomState(2).permutation(160)])
    scores = []
    for data in (train, dealt):
        run = sn.train((data, val), task="segment", model=thin(3, 1), project=tmp_path,
                       **{**SMALL, "epochs": 6, "lr": 0.01})  # fmt: skip
        scores.append(run.metrics["mIoU"])
    source = open_data(val, split=0, task="segment")
    baseline = Segment.from_source(source).baseline(source.train)["mIoU"]
    assert scores[0] > 0.85
    assert scores[1] < baseline + 0.1


@pytest.mark.usefixtures("_no_drawing")
def test_a_dataset_of_pictures_and_maps_is_taken(tmp_path):
    x, y = squares(24, 0)

    class Mine(torch.utils.data.Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, i):
            return x[i], y[i]

    source = open_data(Mine(), task="segment")
    assert source.classes == ("0", "1", "2")
    assert torch.equal(source.val[0].target.semantic_HW, torch.tensor(y[source.val[0].index]))
    run = sn.train(Mine(), task="segment", model=thin(3, 1), project=tmp_path, **SMALL)
    assert run.status == "finished"


def test_maps_that_cannot_be_are_refused_with_what_is_wanted():
    x, y = squares(6, 0)
    for wrong, said in [(y[:, 1:], "a class for each pixel"), (y + 0.5, "whole numbers"),
                        (y - 1, "0 to 254"), (np.full_like(y, VOID), "0 to 254")]:  # fmt: skip
        with pytest.raises(DataError, match=said):
            open_data((x, wrong), task="segment")
    assert open_data((x, 255 * (y > 0)), task="segment").classes == ("0", "1")
    with pytest.raises(DataError, match="no maps of classes"):
        Segment.adapt(open_data("digits"))


def test_nuclei_are_a_foreground_where_the_task_is_segment(shared_data):
    source = Segment.adapt(open_data(shared_data / "nuclei", task="segment"))
    things = open_data(shared_data / "nuclei", task="instances")
    assert source.classes[0] == "background"
    for i in (0, 7):
        masks_NHW = things.train[i].target.masks_NHW
        assert torch.equal(source.train[i].target.semantic_HW == 1, masks_NHW.any(0))


def test_the_drawing_shows_classes_in_their_colours():
    held = samples(
        [torch.tensor([[0, 1], [2, VOID]]).repeat_interleave(8, 0).repeat_interleave(8, 1)]
    )
    picture = task_on(held, 3).draw(held[0])
    at = [picture.getpixel(place) for place in ((30, 30), (300, 30), (30, 300), (300, 300))]
    gray = [len(set(colour)) == 1 for colour in at]
    assert gray == [True, False, False, True]
    assert len(set(at)) == 4
    assert picture.height > picture.width  # the legend


def test_one_class_is_nothing_to_tell_apart():
    x, y = np.zeros((4, 8, 8, 3), np.uint8), np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(DataError, match=r"has one class, .*two are the least"):
        Segment.from_source(open_data((x, y), task="segment"))
