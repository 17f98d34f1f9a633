"""Localise, tag and regress: scores against other libraries, their data, whole trainings."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import snellen as sn
from snellen.core.errors import DataError, SnellenError
from snellen.data.augment import compose
from snellen.data.open import open_data
from snellen.data.sample import Batch, Prediction, Sample, Target
from snellen.data.source import SampleSet
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.tasks.drawing import draw_lines
from snellen.tasks.localise import Localise
from snellen.tasks.regress import NumberScores, Regress
from snellen.tasks.tag import Tag, TagScores, average_precision

INPUTS = {"channels": 3, "height": 24, "width": 48, "mean": [0.5] * 3, "std": [0.25] * 3}
SMALL = {"model": "resnet8_w32", "imgsz": 32, "batch": 16, "epochs": 2, "quiet": True}


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """A random picture of W, H."""
    return np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)


def sample(box: list[float], label: int = 0, size: tuple[int, int] = (37, 53)) -> Sample:
    """A grey picture of H, W with one box."""
    target = Target(labels=torch.tensor([label]), boxes_N4=torch.tensor([box]))
    return Sample(torch.full((3, *size), 90, dtype=torch.uint8), target)


def coco(root: Path, counts: list[int]) -> Path:
    """A COCO folder whose i-th picture has counts[i] boxes, of classes in turn."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    images, things = [], []
    for i, count in enumerate(counts):
        Image.fromarray(picture(i)).save(root / "images" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 40, "height": 30})
        for k in range(count):
            box = [2 + 6 * k, 3, 5 + i % 3, 8]
            things.append({"id": len(things) + 1, "image_id": i, "category_id": 1 + (i + k) % 2,
                           "bbox": box, "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {"images": images, "annotations": things, "categories": names}
    (root / "annotations" / "instances.json").write_text(json.dumps(document))
    return root


def table(root: Path, head: str, rows: list[str], name: str = "labels.csv") -> Path:
    """A folder of pictures and a table; a row starts behind the path."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(len(rows)):
        Image.fromarray(picture(i)).save(root / f"{i}.png")
    lines = [f"path,{head}", *(f"{i}.png,{row}" for i, row in enumerate(rows))]
    (root / name).write_text("\n".join(lines) + "\n")
    return root / name


# Scores against other libraries -------------------------------------------------------------


@pytest.mark.parametrize("levels", [3, 50, 10_000])
def test_average_precision_is_scikit_learns_with_ties_too(levels):
    from sklearn.metrics import average_precision_score

    random = np.random.RandomState(levels)
    for share in (0.02, 0.3, 0.95):
        true = random.rand(200) < share
        true[0] = True
        score = random.randint(0, levels, 200) / levels
        mine = average_precision(torch.tensor(score), torch.tensor(true))
        assert mine == pytest.approx(average_precision_score(true, score), abs=1e-12)


def test_tag_scores_are_scikit_learns_and_leave_out_what_is_not_known():
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score

    random = np.random.RandomState(0)
    true, score = (random.rand(60, 3) < 0.4).astype(np.float32), random.rand(60, 3)
    true[:20, 1] = np.nan
    scores = TagScores("abc")
    scores.update(
        [Prediction(scores_K=torch.tensor(row)) for row in score],
        [Target(attributes_A=torch.tensor(row)) for row in true],
    )
    kept = [(true[~np.isnan(t), a], score[~np.isnan(t), a]) for a, t in enumerate(true.T)]
    for name, of in (
        ("mAP", average_precision_score),
        ("accuracy", lambda t, s: accuracy_score(t, s > 0.5)),
        ("f1", lambda t, s: f1_score(t, s > 0.5)),
    ):
        assert scores.compute()[name] == pytest.approx(np.mean([of(t, s) for t, s in kept]))
    assert scores.compute()["AP/b"] == pytest.approx(average_precision_score(*kept[1]))


def test_number_scores_are_scikit_learns_and_never_negative():
    from sklearn.metrics import mean_absolute_error, r2_score

    random = np.random.RandomState(0)
    true = random.rand(50, 2).astype(np.float32) * [1, 100]
    said = true + random.randn(50, 2) * [0.1, 20]
    scores, poor = NumberScores("ab"), NumberScores("a")
    scores.update([Prediction(values_V=torch.tensor(v)) for v in said],
                  [Target(values_V=torch.tensor(v)) for v in true])  # fmt: skip
    shares = [mean_absolute_error(t, s) / np.ptp(t) for t, s in zip(true.T, said.T, strict=True)]
    assert scores.compute()["R2"] == pytest.approx(r2_score(true, said), abs=1e-5)
    assert scores.compute()["nMAE"] == pytest.approx(np.mean(shares), abs=1e-5)
    assert scores.compute()["R2/b"] == pytest.approx(r2_score(true[:, 1], said[:, 1]), abs=1e-5)
    poor.update([Prediction(values_V=torch.tensor([v])) for v in (9.0, -9.0)],
                [Target(values_V=torch.tensor([v])) for v in (0.0, 1.0)])  # fmt: skip
    assert poor.compute() == {"R2": 0.0, "nMAE": 1.0}


@pytest.mark.parametrize("made", [TagScores("ab"), NumberScores("ab")])
def test_scores_of_nothing_or_of_constants_are_numbers(made):
    assert all(value == 0 for value in made.compute().values())
    nothing = Target(attributes_A=torch.zeros(2), values_V=torch.ones(2))
    right = Prediction(scores_K=torch.zeros(2), values_V=torch.ones(2))
    made.update([right] * 3, [nothing] * 3)
    name = "mAP" if isinstance(made, TagScores) else "R2"
    assert made.compute()[name] == 1.0
    made.update([Prediction(scores_K=torch.ones(2), values_V=torch.zeros(2))], [nothing])
    assert made.compute()[name] == 0.0


# Losses -------------------------------------------------------------------------------------


class Fixed(torch.nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, out):
        super().__init__()
        self.out = torch.nn.Parameter(out)

    def forward(self, x):
        return self.out


def batch_of(**y) -> Batch:
    count = len(next(iter(y.values())))
    return Batch(torch.zeros(count, 3, 24, 48), y, torch.arange(count), torch.ones(count, 2).long())


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_tag_loss_is_its_formula_over_what_is_known(loss):
    task = Tag({"attributes": ["a", "b", "c"], "inputs": INPUTS, "loss": loss})
    true = torch.tensor([[1.0, 0.0, torch.nan], [0.0, torch.nan, 1.0]])
    net = Fixed(torch.tensor([[0.3, -0.2, 5.0], [1.5, -3.0, 0.1]]))
    value = task.loss(net, batch_of(attributes=true))["loss"]
    seen = ~true.isnan()
    signed = (net.out * (2 * true - 1))[seen]
    each = torch.nn.functional.softplus(-signed) if loss == "logistic" else (1 - signed).clamp(0)
    assert value.item() == pytest.approx(each.sum().item() / 2, abs=1e-6)
    value.backward()
    assert (net.out.grad[~seen] == 0).all()
    assert net.out.grad.isfinite().all()


@pytest.mark.parametrize("bins", [None, 2, 7, 100])
def test_numbers_survive_standardising_and_bins(bins):
    x = np.zeros((64, 24, 48, 3), np.uint8)
    y = np.stack([np.linspace(-3, 900, 64), np.arange(64) % 4, np.linspace(0, 1, 64) ** 3], 1)
    source = open_data((x, y), split=0, task="regress")
    task = Regress.from_source(source)
    if bins:
        task.spec["bins"] = bins
    samples = [source.train[i] for i in range(64)]
    batch = task.encode(samples)
    said = torch.stack([p.values_V for p in task.decode(task.oracle(batch), batch)])
    assert torch.allclose(said, torch.tensor(y).float(), rtol=1e-5, atol=1e-5)
    net = Fixed(torch.zeros(64, task.num_outputs()))
    task.loss(net, batch)["loss"].backward()
    assert net.out.grad.isfinite().all()


def test_bins_and_a_loss_cannot_both_be_said():
    source = open_data((np.zeros((9, 8, 8), np.uint8), np.arange(9) / 2), split=0, task="regress")
    task = Regress.from_source(source)
    task.spec |= {"bins": 4, "loss": "l1"}
    with pytest.raises(SnellenError, match="leave one of them out"):
        task.build(torch.nn.Identity())


@pytest.mark.parametrize(
    ("task", "near"),
    [(Tag({"attributes": ["a"], "inputs": INPUTS, "loss": "hing"}), "hinge"),
     (Localise({"classes": ["a"], "inputs": INPUTS, "loss": "gio"}), "giou")],
)  # fmt: skip
def test_an_unknown_loss_names_the_nearest(task, near):
    with pytest.raises(SnellenError, match=near):
        task.build(torch.nn.Identity())


# Localise -----------------------------------------------------------------------------------


def test_box_comes_back_in_pixels_of_the_picture_whatever_its_size():
    task = Localise({"classes": ["a", "b"], "inputs": INPUTS})
    samples = [sample([3.0, 5, 40, 30], 1), sample([0.0, 0, 90, 11], 0, (11, 90))]
    batch = task.encode(samples)
    for said, true in zip(task.decode(task.oracle(batch), batch), samples, strict=True):
        assert torch.allclose(said.boxes_N4, true.target.boxes_N4, atol=1e-4)
        assert said.label == int(true.target.labels[0])


@pytest.mark.parametrize("words", ["flip", "vflip", "flip+crop", "zoom"])
def test_box_moves_with_the_picture(words):
    """A bright rectangle on black: its box must lie around what is bright, moved or not."""
    task = Localise({"classes": ["a"], "inputs": INPUTS})
    plain = torch.zeros(16, 3, 24, 48, dtype=torch.uint8)
    plain[:, :, 4:18, 10:40] = 255
    batch = task.encode([Sample(x, Target(labels=torch.tensor([0]),
                         boxes_N4=torch.tensor([[10.0, 4, 40, 18]]))) for x in plain])  # fmt: skip
    moved = compose(words)(batch, torch.Generator().manual_seed(0))
    assert not torch.equal(moved.x, batch.x)
    for x, box in zip(moved.x, moved.y["boxes"][:, 0], strict=True):
        rows, cols = (x[0] > 127).any(1).nonzero(), (x[0] > 127).any(0).nonzero()
        seen = torch.tensor([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]).float()
        assert (seen - box).abs().max() <= 1


def test_what_is_not_one_sound_box_is_named_and_never_nan():
    task = Localise({"classes": ["a", "b"], "inputs": INPUTS})
    two = Target(labels=torch.tensor([0, 1]), boxes_N4=torch.tensor([[0.0, 0, 5, 5]] * 2))
    bad = [sample([4.0, 4, 4, 9]), sample([float("nan"), 0, 4, 9]), sample([9.0, 9, 1, 1]),
           sample([1.0, 1, 5, 5], label=7), Sample(torch.zeros(3, 9, 9), two),
           Sample(torch.zeros(3, 9, 9), Target(boxes_N4=torch.zeros(0, 4)))]  # fmt: skip
    ids = ["box-degenerate"] * 3 + ["label-out-of-range", "box-several", "box-none"]
    assert [task.check(s)[0].id for s in bad] == ids
    crowd = Target(labels=two.labels, boxes_N4=two.boxes_N4, ignored_N=torch.tensor([True, False]))
    assert task.check(Sample(torch.zeros(3, 9, 9), crowd)) == []
    batch = task.encode([*bad, sample([2.0, 2, 9, 9])])
    net = Fixed(torch.zeros(len(batch), 6))
    parts = task.loss(net, batch)
    sum(parts.values()).backward()
    assert net.out.grad.isfinite().all()
    assert (net.out.grad[:-1] == 0).all()
    assert (net.out.grad[-1] != 0).any()
    metric = task.metric()
    metric.update(task.decode(net(batch.x), batch)[:-1], [s.target for s in bad])
    assert metric.seen == 1  # the box of an unknown class still has an IoU
    assert 0 <= metric.compute()["mIoU"] <= 1


def test_images_of_none_and_of_several_boxes_are_left_out_and_said(tmp_path):
    source = Localise.adapt(open_data(coco(tmp_path / "a", [1, 0, 2, 1, 1, 3]), split=0))
    assert [source.train[i].path[-5:] for i in range(3)] == ["0.png", "3.png", "4.png"]
    said = {p.id: p for p in source.problems}
    assert said["box-none"].samples == (1,)
    assert said["box-several"].samples == (2, 5)
    assert "2.png" in said["box-several"].message
    with pytest.raises(DataError, match="task=detect"):
        Localise.adapt(open_data(coco(tmp_path / "b", [2, 2, 0]), split=0))


# Tables and boxes ---------------------------------------------------------------------------


def test_a_validation_part_without_one_thing_an_image_is_refused(tmp_path):
    good, several = coco(tmp_path / "good", [1, 1, 1, 1]), coco(tmp_path / "several", [2, 0, 2])
    with pytest.raises(DataError, match=r"no sample to be judged by: 2 of 3 images of val have"):
        sn.train(str(good), val=str(several), task="localise", project=str(tmp_path), **SMALL)


@pytest.mark.parametrize("box", [[3, 4, 3.02, 9], [3, 4, 9, 4.01], [0, 0, 0.1, 0.1], [5, 5, 5, 5]])
def test_a_box_thinner_than_a_pixel_is_drawn(box):
    drawn = draw_lines(torch.zeros(3, 16, 16), [], torch.tensor([box]), words=["a"])
    red = (np.asarray(drawn) == [0xE6, 0x19, 0x4B]).all(-1).any()
    assert red == (box[0] < box[2])


def test_columns_of_a_table_are_attributes_and_values(tmp_path):
    rows = ["cat,1,0,3.5,yes", "dog,0,1,,no", "cat,,-1,1e1,yes"]
    file = table(tmp_path, "label,hat,glasses,age,indoor", rows)
    tag, regress = (open_data(file, split=0, task=t) for t in ("tag", "regress"))
    assert tag.attributes == ("hat", "indoor")  # glasses is 0, 1 and -1
    assert regress.values == ("glasses", "age")
    assert tag.train.labels() is None
    assert tag.train[0].target.attributes_A.tolist() == [1, 1]
    assert tag.train.target(2).attributes_A[0].isnan()
    assert regress.train.target(1).values_V[1].isnan()
    assert open_data(file, split=0).classes == ("cat", "dog")
    assert open_data(table(tmp_path / "b", "age", ["7", "9", "30"]), split=0,
                     task="regress").values == ("age",)  # fmt: skip


@pytest.mark.parametrize("count", [10, 20, 30])
def test_a_column_of_nine_cells_of_ten_is_numbers(tmp_path, count):
    rows = [f"{i},{'old' if i % 10 == 4 else i + 0.5}" for i in range(count)]
    source = open_data(str(table(tmp_path / "nine", "w,age", rows)))
    assert source.values == ("w", "age")
    rows[5] = "5,older"
    source = open_data(str(table(tmp_path / "less", "w,age", rows)))
    assert source.values == ("w",)
    (said,) = [p for p in source.problems if p.id == "value-not-a-number"]
    assert f"age is no number in {count // 10 + 1} of {count} cells" in said.message


def test_a_column_that_is_the_same_in_every_row_is_named(tmp_path):
    rows = [f"{i % 2},0,{i}" for i in range(6)]
    source = open_data(str(table(tmp_path / "set", "hat,glasses,age", rows)))
    assert [p.message for p in source.problems] == ["glasses is 0 in every row"]


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(12) % 3, "0 is 2 in 4 of 12 images; an attribute is 0 or 1"),
        (np.full((12, 1), 7.0), "0 is 7 in 12 of 12 images"),
        (np.array([[1.0, np.nan]] * 12), "no attribute differs from image to image"),
        (np.array([[np.nan, 1.0]] * 6 + [[0.0, np.nan]] * 6), "no attribute differs"),
    ],
)
def test_what_is_no_attribute_is_refused(y, words):
    x = np.zeros((12, 8, 8), np.uint8)
    with pytest.raises(DataError, match=words):
        Tag.from_source(open_data((x, y), task="tag", split=0.0))


def test_attributes_that_every_second_picture_has_are_learned():
    has_N1 = (np.arange(1000) % 2)[:, None].astype(np.float32)
    data = open_data((np.zeros((1000, 8, 8), np.uint8), has_N1), task="tag", split=0.0)
    task = Tag.from_source(data)
    assert task.baseline(data.train) == {"mAP": 0.5, "accuracy": 0.5}

    class Unknown(SampleSet):  # each row costs a picture, so only some are looked at
        def __len__(self):
            return len(data.train)

        def __getitem__(self, i):
            return data.train[i]

    assert Tag.from_source(replace(data, train=Unknown())).names() == ["0"]


def test_a_number_between_attributes_is_found_in_any_row():
    has_N1 = (np.arange(1000) // 500)[:, None].astype(np.float32)
    has_N1[501] = 3.0
    with pytest.raises(DataError, match="0 is 3 in 1 of 1000 images"):
        Tag.from_source(open_data((np.zeros((1000, 8, 8), np.uint8), has_N1), task="tag", split=0))


def test_a_slip_in_a_column_is_named_by_its_line(tmp_path):
    file = table(tmp_path, "age,hat", [*["3,1", "4,0"] * 6, "old,1"])
    source = open_data(file, split=0, task="regress")
    (slip,) = [p for p in source.problems if p.id == "value-not-a-number"]
    assert slip.line == 14
    assert "'old'" in slip.message
    assert source.train.target(12).values_V.isnan().all()


def test_columns_in_another_order_are_put_in_order_and_missing_ones_named(tmp_path):
    one = table(tmp_path / "a", "hat,age,wet", ["1,3,0", "0,5,0", "1,9,1"])
    other = table(tmp_path / "b", "wet,age,hat", ["0,3,1", "1,5,1"])
    source = open_data(one, val=other, task="tag")
    assert [source.val[i].target.attributes_A.tolist() for i in range(2)] == [[1, 0], [1, 1]]
    lacking = table(tmp_path / "c", "hat,age", ["1,3", "0,4"])
    with pytest.raises(DataError, match="wet"):
        open_data(one, val=lacking, task="tag")


def test_a_table_without_a_label_says_which_tasks_learn_from_it(tmp_path):
    with pytest.raises(DataError, match="task=tag"):
        sn.train(table(tmp_path, "hat,age", ["1,3", "0,4", "1,5"]), **SMALL)


def test_data_of_another_kind_are_refused_with_what_would_do(tmp_path):
    for name in ("localise", "tag", "regress"):
        with pytest.raises(DataError, match=f"task={name} wants"):
            sn.train("digits", task=name, project=tmp_path, **SMALL)


def test_boxes_say_which_classes_an_image_contains(tmp_path):
    source = Tag.adapt(open_data(coco(tmp_path, [1, 0, 2, 1]), split=0, task="tag"))
    assert source.attributes == ("cat", "dog")
    told = [source.train.target(i).attributes_A.tolist() for i in range(4)]
    assert told == [[1, 0], [0, 0], [1, 1], [0, 1]]


def test_a_column_of_one_number_is_refused_by_name(tmp_path):
    source = open_data(table(tmp_path, "age,tall", ["3,2", "4,2", "5,2"]), split=0, task="regress")
    with pytest.raises(DataError, match="tall is 2 in every image"):
        Regress.from_source(Regress.adapt(source))


# Whole trainings ----------------------------------------------------------------------------


def data_for(name: str, root: Path):
    """Little data of a user's own for each task."""
    if name == "localise":
        return coco(root, [1] * 24)
    rows = [f"{i % 2},{(i // 3) % 2},{i * 0.5}" for i in range(24)]
    return table(root, "hat,wet,age", rows).parent


@pytest.mark.parametrize("name", ["localise", "tag", "regress"])
def test_users_own_data_train_predict_eval_and_resume(name, tmp_path):
    data = data_for(name, tmp_path / "data")
    run = sn.train(data, task=name, project=tmp_path / "runs", **SMALL)
    assert run.status == "finished"
    assert not [f for f in run.findings if f.level == "error"]
    page = (run.path / "report.html").read_text()
    assert "could not be made" not in page
    assert "not written" not in (run.path / "log.txt").read_text()
    with open(run.path / "predictions.csv", newline="") as file:
        head, *rows = list(csv.reader(file))
    per_image = {"localise": 1, "tag": 2, "regress": 1}[name]
    assert len(rows) == per_image * 5  # a fifth of 24 held out
    assert head[2:3] == ["value" if name == "regress" else "score"]
    assert head[3:] == (["x1", "y1", "x2", "y2"] if name == "localise" else [])
    assert run.evaluate() == pytest.approx(run.metrics, abs=1e-6)
    files = [str(next(data.rglob(f"{i}.png"))) for i in range(3)]
    told = list(run.predict_files(files))
    assert [one["file"] for one in told] == [f for f in files for _ in range(per_image)]
    half = sn.train(data, task=name, project=tmp_path / "half", **{**SMALL, "epochs": 1})
    assert sn.train(resume=half.path, epochs=2, quiet=True).status == "finished"


@pytest.mark.parametrize("name", ["localise", "tag", "regress"])
def test_batch_of_one_and_of_many_say_the_same(name):
    parts = WorldSet(
        3, 12, World(height=32, width=48, most=1 + 2 * (name != "localise"), empty=0.0)
    )
    source = open_data("shapes", task=name)
    kind = {"localise": Localise, "tag": Tag, "regress": Regress}[name]
    task = kind.from_source(kind.adapt(type(source)(
        "few", "shapes", parts, source.classes, attributes=source.attributes,
        values=source.values)))  # fmt: skip
    torch.manual_seed(0)
    net = task.build(sn.model("resnet8_w32", task.num_outputs(), 3, imgsz=48)).eval()
    samples = [parts[i] for i in range(12)]

    def told(held):
        batch = task.encode(held)
        batch = Batch(task.inputs().prepare(batch.x), batch.y, batch.index_B, batch.sizes_B2)
        with torch.no_grad():
            return task.decode(task.infer(net, batch), batch)

    field = {"localise": "boxes_N4", "tag": "scores_K", "regress": "values_V"}[name]
    for one, many in zip([told([s])[0] for s in samples], told(samples), strict=True):
        assert torch.allclose(getattr(one, field), getattr(many, field), atol=1e-3)
