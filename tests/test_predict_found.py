"""Things that a network found, kept in files: pycocotools counts the same scores from outside."""

import contextlib
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.data.open import open_path
from snellen.data.sample import Prediction
from snellen.data.scenes import SHAPES
from snellen.data.world_set import WorldSet
from snellen.data.worlds import World
from snellen.serve.keep import Ids, Keeper, open_folder
from snellen.tasks._coco import CocoScores
from snellen.tasks.coco_results import coco_results
from snellen.tasks.detect import Detect
from tests.running import run_cli


def write_coco(root, part, count, seed):
    """Drawn worlds as COCO, its ids neither from 1 nor without gaps."""
    images, rows = [], []
    (root / "images" / part).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    for i, sample in enumerate(WorldSet(seed, count, World())):
        name, id = f"{part} {i}.png", 1000 - 7 * i
        pixels = sample.image_CHW.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(root / "images" / part / name)
        images.append({"id": id, "file_name": name, "width": 96, "height": 96})
        boxes = sample.target.boxes_N4.tolist()
        for label, (x1, y1, x2, y2) in zip(sample.target.labels.tolist(), boxes, strict=True):
            wide, high = x2 - x1, y2 - y1
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": id,
                    "category_id": 40 - 3 * label,
                    "bbox": [x1, y1, wide, high],
                    "area": wide * high,
                    "iscrowd": 0,
                }
            )
    kinds = [{"id": 40 - 3 * k, "name": name} for k, name in enumerate(SHAPES)]
    document = {"images": images, "annotations": rows, "categories": kinds}
    (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "set"
    write_coco(root, "train", 12, 1)
    write_coco(root, "val", 12, 2)
    return root


def noisy(target, random):
    """An imperfect answer: boxes moved, some left out, some of another class, scores at random."""
    boxes_N4 = target.boxes_N4.repeat(2, 1)
    boxes_N4 = boxes_N4 + torch.from_numpy(random.normal(0, 2, boxes_N4.shape)).float()
    boxes_N4[:, 2:] = torch.maximum(boxes_N4[:, 2:], boxes_N4[:, :2] + 1)
    labels = target.labels.repeat(2)
    labels[::5] = 0
    scores_N = torch.from_numpy(random.rand(len(labels))).float()
    return Prediction(labels=labels, boxes_N4=boxes_N4, scores_N=scores_N)


def outside(truth, results):
    """COCOeval's twelve numbers."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(truth))
        evaluation = COCOeval(gt, gt.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(v) for v in evaluation.stats]


def keep(task, part, folder, ids=None, data=None):
    """Noisy answers to a part, through the keeper; returns what the task's own metric says."""
    keeper, random = Keeper(open_folder(folder), task, ids), np.random.RandomState(0)
    metric = task.metric()
    for i in range(len(part)):
        answer, target = noisy(part.target(i), random), part.target(i)
        metric.update([answer], [target])
        keeper.take(part.path(i), answer)
    keeper.finish(data)
    return list(metric.compute().values())[:12], keeper


def test_pycocotools_counts_the_same_from_the_kept_file(scenes, tmp_path):
    source = open_path(scenes)
    task, truth = Detect.from_source(source), scenes / "annotations" / "instances_val.json"
    scores, _ = keep(task, source.val, tmp_path / "found", data=str(scenes))
    counted = [v for v in outside(truth, tmp_path / "found" / "coco.json") if v >= 0]
    assert 0.05 < scores[0] < 0.95
    assert counted == pytest.approx(scores[: len(counted)], abs=1e-6)
    text = (tmp_path / "found" / "predictions.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["file", "label", "score", "x1", "y1", "x2", "y2"]
    assert len(rows) - 1 == len(json.loads((tmp_path / "found" / "coco.json").read_text()))
    assert len(list((tmp_path / "found").glob("*.png"))) == len(source.val)


def test_things_of_equal_scores_count_in_the_order_of_the_ids_of_their_pictures(scenes, tmp_path):
    source, truth = open_path(scenes), scenes / "annotations" / "instances_val.json"
    files = [entry["file_name"] for entry in json.loads(truth.read_text())["images"]]
    read = [source.val.path(i) for i in range(len(source.val))]
    assert [Path(file).name for file in read] == files[::-1]  # the ids fall in the file
    metric, random, rows = CocoScores(SHAPES), np.random.RandomState(3), []
    ids = Ids.read(truth)
    for i, file in enumerate(read):
        answer = noisy(source.val.target(i), random)
        answer = replace(answer, scores_N=(answer.scores_N * 3).round() / 3)
        metric.update([answer], [source.val.target(i)])
        kinds = [ids.categories[name] for name in source.classes]
        rows += coco_results(answer, ids.image(file), kinds, kind="bbox")
    (tmp_path / "found.json").write_text(json.dumps(rows))
    scores = list(metric.compute().values())
    counted = [v for v in outside(truth, tmp_path / "found.json") if v >= 0]
    assert counted == pytest.approx(scores[: len(counted)], abs=1e-9)


def test_numbers_are_of_the_json_that_is_named_or_new_ones_that_are_told(scenes, tmp_path):
    source = open_path(scenes)
    task = Detect.from_source(source)
    ids = Ids.read(scenes / "annotations" / "instances_val.json")
    keep(task, source.val, tmp_path / "named", ids)
    keep(task, source.val, tmp_path / "new")
    named, new = (
        json.loads((tmp_path / word / "coco.json").read_text()) for word in ("named", "new")
    )
    assert {row["image_id"] for row in named} <= {1000 - 7 * i for i in range(12)}
    told = json.loads((tmp_path / "new" / "coco_images.json").read_text())
    names = {image["id"]: image["file_name"] for image in told["images"]}
    kinds = {kind["id"]: kind["name"] for kind in told["categories"]}
    for one, two in zip(named, new, strict=True):
        assert ids.image(names[two["image_id"]]) == one["image_id"]
        assert ids.categories[kinds[two["category_id"]]] == one["category_id"]
        assert one["bbox"] == two["bbox"]
    with pytest.raises(DataError, match="does not say which of its images"):
        keep(task, source.train, tmp_path / "other", ids)
    few = replace(ids, categories={"circle": 1})
    with pytest.raises(DataError, match="has no category"):
        keep(task, source.val, tmp_path / "few", few)
    with pytest.raises(UsageError, match="never overwritten"):
        open_folder(tmp_path / "new")


def same_names(root):
    """Two parts whose pictures have the same names in the same folders below, and other numbers."""
    for part, first in (("train", 100), ("val", 200)):
        (root / part / "a").mkdir(parents=True)
        images = [{"id": first + i, "file_name": f"a/{i}.png"} for i in range(3)]
        for i in range(3):
            Image.new("RGB", (30, 20), (9 * first % 256, i, 0)).save(root / part / "a" / f"{i}.png")
        rows = [{"id": i, "image_id": first + i, "category_id": 5, "bbox": [1, 2, 9, 9]}
                for i in range(3)]  # fmt: skip
        document = {"images": images, "annotations": rows, "categories": [{"id": 5, "name": "x"}]}
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{part}.json").write_text(json.dumps(document))
    return root


def test_numbers_go_by_the_place_of_a_picture_and_not_by_its_name(tmp_path):
    root = same_names(tmp_path / "set")
    source, val = open_path(root), root / "annotations" / "instances_val.json"
    task = Detect.from_source(source)

    def numbers(name, files, ids=None):
        keeper = Keeper(open_folder(tmp_path / name), task, ids)
        for file in files:
            keeper.take(str(file), noisy(source.val.target(0), np.random.RandomState(0)))
        keeper.finish(None, str(root))
        rows = json.loads((tmp_path / name / "coco.json").read_text())
        return keeper.numbers, sorted({row["image_id"] for row in rows})

    pictures = [root / "val" / "a" / f"{i}.png" for i in range(3)]
    assert numbers("val", pictures) == (str(val), [200, 201, 202])
    train = [root / "train" / "a" / "1.png"]
    assert numbers("train", train) == (str(val.with_name("instances_train.json")), [101])
    foreign = tmp_path / "0.png"
    Image.new("RGB", (30, 20)).save(foreign)
    assert numbers("foreign", [foreign]) == (str(tmp_path / "foreign" / "coco_images.json"), [1])
    assert numbers("mixed", [*pictures, foreign])[1] == [1, 2, 3, 4]
    assert numbers("copy", [foreign], Ids.read(val)) == (str(val), [200])
    with pytest.raises(DataError, match="does not say which of its images"):
        numbers("other part", train, Ids.read(val))


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools itself
def test_masks_are_kept_as_run_lengths(scenes, tmp_path):
    from pycocotools import mask as coco

    source = open_path(scenes)
    keeper = Keeper(open_folder(tmp_path / "found"), Detect.from_source(source))
    answer, masks_NHW = noisy(source.val.target(0), np.random.RandomState(0)), []
    for i in range(len(answer.labels)):
        mask_HW = torch.zeros(96, 96, dtype=torch.bool)
        mask_HW[i : 3 * i + 2, 5:20] = True
        masks_NHW.append(mask_HW)
    keeper.take(source.val.path(0), replace(answer, masks_NHW=torch.stack(masks_NHW)))
    keeper.finish(None)
    rows = json.loads((tmp_path / "found" / "coco.json").read_text())
    for row, mask_HW in zip(rows, masks_NHW, strict=True):
        assert (coco.decode(row["segmentation"]) == mask_HW.numpy()).all()
        assert "bbox" not in row  # pycocotools would take a mask's area from it


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    """A detector that has hardly learned."""
    project = str(tmp_path_factory.mktemp("runs"))
    return sn.train(str(scenes), task="detect", epochs=1, imgsz=64, batch=12, speed="off",
                    preflight="off", doctor=False, project=project)  # fmt: skip


def test_eval_prints_the_table_and_predict_keeps(run, scenes, tmp_path):
    ended = run_cli("eval", run.path)
    lines = ended.out.splitlines()
    table = [line for line in lines if "@[ IoU=" in line]
    scores = json.loads(lines[-1])
    assert ended.code == 0
    assert len(table) == 12
    assert table[0].endswith(f"= {scores['mAP50-95']:.3f}")
    alone = run_cli("eval", run.path, "--json").out.splitlines()
    assert [json.loads(line) for line in alone] == [scores]
    found = tmp_path / "found"
    ended = run_cli("predict", run.path, scenes / "images" / "val", "--out", found)
    assert ended.code == 0, ended.err
    truth = scenes / "annotations" / "instances_val.json"
    assert f"wrote {found / 'coco.json'}, numbers of {truth}" in ended.err
    counted = outside(scenes / "annotations" / "instances_val.json", found / "coco.json")
    assert counted[0] == pytest.approx(scores["mAP50-95"], abs=1e-6)
    assert counted[8] == pytest.approx(scores["mAR100"], abs=1e-6)


def test_which_drawing_is_whose_is_said_of_pictures_of_one_name(run, scenes, tmp_path):
    first = next((scenes / "images" / "val").iterdir())
    other, third = tmp_path / first.name, tmp_path / f"{first.stem}-2.png"
    for copy in (other, third):
        copy.write_bytes(first.read_bytes())
    found = tmp_path / "found"
    ended = run_cli("predict", run.path, first, other, third, "--out", found)
    said = [line for line in ended.err.splitlines() if " is kept as " in line]
    assert said == [f"{other} is kept as {found / first.stem}-2.png",
                    f"{third} is kept as {found / first.stem}-2-2.png"]  # fmt: skip
    assert len(list(found.glob("*.png"))) == 3


def test_which_map_is_whose_is_said_once_of_pictures_of_one_name(monkeypatch, tmp_path):
    rows = [{"file": f"{folder}/x.png", "label": label, "share": 0.5, "score": 0.5,
             "mask": f"out/x{turn}_mask.png"}
            for folder, turn in (("a", ""), ("b", "-2")) for label in ("sky", "sea")]  # fmt: skip
    predictor = SimpleNamespace(rows=lambda *a, **k: iter(rows))
    monkeypatch.setattr("snellen.cli.predict._predictor", lambda run, via: predictor)
    ended = run_cli("predict", "run", "a", "b", "--masks", "out")
    assert ended.err.splitlines() == [f"b/x.png is kept as {Path('out/x-2_mask.png')}"]


def test_the_pace_is_said_once_beside_the_answers(run, scenes):
    pictures = sorted((scenes / "images" / "val").iterdir())
    ended = run_cli("predict", run.path, *pictures, "--json")
    lines = [line for line in ended.err.splitlines() if line.endswith(" a second")]
    count, seconds, pace = re.fullmatch(
        r"(\d+) pictures in (\S+) s: (\S+) a second", lines[0]
    ).groups()  # fmt: skip
    assert len(lines) == 1
    assert int(count) == len(pictures)
    assert float(pace) == pytest.approx(int(count) / float(seconds), rel=0.02)
    assert all(json.loads(line) for line in ended.out.splitlines())
    nothing = run_cli("predict", run.path, scenes / "annotations" / "instances_val.json")
    assert "a second" not in nothing.err


ODD = {"1x1": (1, 1), "wide": (300, 2), "tall": (3, 200), "large": (900, 700), "usual": (96, 96)}


def odd_pictures(folder):
    """Pictures of odd sizes and kinds."""
    random = np.random.RandomState(0)
    folder.mkdir()
    for name, (width, height) in ODD.items():
        pixels = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    image = Image.fromarray(random.randint(0, 256, (40, 50, 3)).astype(np.uint8))
    for mode in ("L", "LA", "RGBA", "P", "1", "CMYK"):
        suffix = "tif" if mode == "CMYK" else "png"
        image.convert(mode).save(folder / f"mode {mode}.{suffix}")
    Image.fromarray(random.randint(0, 2**16, (30, 20)).astype(np.uint16)).save(folder / "16.png")
    return sorted(folder.iterdir())


def test_any_picture_and_one_at_a_time_as_together(run, tmp_path):
    files = odd_pictures(tmp_path / "odd")
    together = dict(run.predictor.files(files))
    for file in files:
        (alone,) = run.predictor.images([file])
        held = together[str(file)]
        assert torch.isfinite(held.boxes_N4).all()
        with Image.open(file) as image:
            limit = torch.tensor([*image.size, *image.size])
        assert (held.boxes_N4 >= 0).all()
        assert (held.boxes_N4 <= limit).all()
        torch.testing.assert_close(alone.scores_N, held.scores_N, atol=1e-5, rtol=1e-4)
        near = torch.cdist(rows(alone), rows(held)).min(1)  # equal scores may change places
        assert (near.values < 0.01).all(), file.name
        assert len(near.indices.unique()) == len(held.labels)


def rows(prediction):
    """A box a row with its score and its class, whatever their order."""
    label_N1 = 1e4 * prediction.labels[:, None]
    return torch.cat([prediction.boxes_N4, prediction.scores_N[:, None], label_N1], 1).double()


def test_flags_that_do_not_go_together(run, scenes, tmp_path):
    picture = next((scenes / "images" / "val").iterdir())
    assert run_cli("predict", run.path, picture, "--ids", "a.json").code == 2
    (tmp_path / "a.json").write_text('{"images": [{}], "categories": []}')
    for file in (tmp_path / "a.json", tmp_path / "none.json"):
        ended = run_cli("predict", run.path, picture, "--out", tmp_path / "out", "--ids", file)
        assert ended.code == 3
        assert not (tmp_path / "out").exists()


def test_verify_tells_the_best_weights_of_another_run(run, tmp_path):
    import shutil

    def verified():
        return run_cli("verify", tmp_path / "run")

    shutil.copytree(run.path, tmp_path / "run")
    best = tmp_path / "run" / "weights" / "best.safetensors"
    assert verified().code == 0
    from snellen.train import checkpoint

    weights, meta = checkpoint.load_weights(best)
    meta["metrics"] = {**meta["metrics"], "loss": 0.5}
    checkpoint.save_best(best, weights, meta)
    assert "is of another run: its metrics differ" in verified().err
    assert verified().code == 3
    best.unlink()
    assert "best.safetensors: is missing" in verified().err
    shutil.rmtree(best.parent)
    assert "best.safetensors: is missing" in verified().err


def test_only_things_of_a_score_are_printed_and_all_are_kept(run, scenes, tmp_path):
    picture, found = next((scenes / "images" / "val").iterdir()), tmp_path / "found"
    said = run_cli("predict", run.path, picture, "--json").out
    rows = [json.loads(line) for line in said.splitlines()]
    scores = sorted(row["score"] for row in rows)
    middle = scores[len(scores) // 2]
    ended = run_cli("predict", run.path, picture, "--score", middle, "--out", found)
    assert len(ended.out.splitlines()) == sum(score >= middle for score in scores) < len(scores)
    assert len(json.loads((found / "coco.json").read_text())) == len(scores)
    ended = run_cli("predict", run.path, picture, "score=1")
    assert ended.out == f"{picture}\tnothing of score 1 or more\n"
    assert run_cli("predict", run.path, picture, "--score", "2").code == 2
