"""Exported files say what the network says, are refused where they do not, and replace nothing.

Oracles: the network itself, and the formats' own readers without Snellen. What onnxruntime and
OpenVINO do is skipped where they are not installed; torch.export is always here, and `Numbers`, a
format of this file, shows every refusal without them.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from little_data import damaged_run, folders
from PIL import Image
from running import assert_well_said, run_cli
from torch import nn

import snellen as sn
from snellen.core.errors import DataError, UsageError
from snellen.core.exports import record, record_text
from snellen.data.inputs import Inputs
from snellen.data.sample import Sample, Target
from snellen.serve import runtime as formats
from snellen.serve.export import Wish, distance, export, graph_of, spread
from snellen.serve.exported import ExportedNet, Prepared, open_file
from snellen.serve.predict import Predictor
from snellen.serve.runtime import Runtime
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute
from snellen.train import checkpoint

PAGE = Path(__file__).resolve().parents[1] / "docs" / "export.md"
EXTRA = ("onnx", "onnxscript", "onnxruntime", "openvino")
absent = [name for name in EXTRA if importlib.util.find_spec(name) is None]
needs_extra = pytest.mark.skipif(bool(absent), reason=f"{absent} not installed: snellen[export]")


class Numbers(Runtime):
    """Keeps the module in memory and only the card on the disk; can be made to answer wrongly."""

    name, suffix = "numbers", ".numbers"

    def __init__(self, wrong=lambda out: out) -> None:
        self.wrong, self.graph = wrong, None

    def write(self, graph, path):
        self.graph = graph
        path.write_text(graph.card.text())

    def card(self, path):
        return path.read_text()

    def open(self, path, card, threads):
        def run(pictures):
            with torch.inference_mode():
                return [
                    self.wrong(out).numpy() for out in self.graph.module(torch.tensor(pictures))
                ]

        return run


@pytest.fixture
def numbers(monkeypatch):
    """The format `numbers`, beside Snellen's own."""
    monkeypatch.setitem(formats.runtimes(), "numbers", Numbers())
    return formats.runtimes()["numbers"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run on pictures of two classes, 16 of them to be judged."""
    root = tmp_path_factory.mktemp("export")
    data = folders(root / "pets", "ant", "bee", count=20)
    run = sn.train(str(data), model="lenet5_bn", epochs=1, val=str(data), batch=8, quiet=True,
                   doctor=False, project=str(root / "runs"))  # fmt: skip
    return run.path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "pets-1")


def pictures(run: Path, count: int = 5) -> np.ndarray:
    """Bytes as the graph takes them."""
    judged = sn.load(run).parts()[1]
    return torch.stack([judged[i].image_CHW for i in range(count)]).numpy()


def logits(run: Path, x: np.ndarray) -> torch.Tensor:
    predictor = sn.load(run).predictor
    with torch.inference_mode():
        return predictor.net(predictor.task.inputs().prepare(torch.from_numpy(x)))


def left(run: Path) -> list[str]:
    return [path.name for path in (run / "export").glob("*")] if (run / "export").exists() else []


def test_a_torch_file_says_the_same_without_snellen(run):
    done = run_cli("export", run, "format=torch")
    assert done.code == 0, done.err
    path = Path(done.last)
    assert path == run / "export" / "pets-1-fp32.pt2"
    assert re.search(r"difference \S+e-\d+ of .* on 40 pictures \(0\.001 is allowed\)", done.out)
    said = re.search(r"accuracy (\S+) before in fp32, (\S+) after in fp32, on 40", done.out)
    before, after = said.groups()
    assert before == after
    facts = {"snellen.json": ""}
    graph = torch.export.load(path, extra_files=facts).module()
    assert json.loads(facts["snellen.json"])["spec"]["classes"] == ["ant", "bee"]
    for count in (1, 5):
        x = pictures(run, count)
        assert torch.allclose(graph(torch.from_numpy(x))[0], logits(run, x), atol=1e-5)


def test_bf16_is_computed_in_bf16_and_batch_1_is_fixed(run):
    done = sn.load(run).export("torch", precision="bf16", batch=1)
    assert done.path.name == "pets-1-bf16-batch1.pt2"
    assert 1e-5 < done.difference < 0.05  # fp32 would be nearer, a wrong graph farther
    graph = torch.export.load(done.path).module()
    assert graph(torch.from_numpy(pictures(run, 1)))[0].dtype == torch.float32
    with pytest.raises((RuntimeError, AssertionError)):
        graph(torch.from_numpy(pictures(run, 2)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(lambda out: out * 1.3, "differ from the network by 0.3"),
     (lambda out: out * float("nan"), "are not numbers"),
     (lambda out: torch.where(out == out.max(), float("nan"), out), "are not numbers"),
     (lambda out: out[:, :1], "mistake of the runtime")],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused_and_nothing_is_left(run, numbers, wrong, words):
    numbers.wrong = wrong
    assert_well_said(run_cli("export", run, "format=numbers"), 3, [words])
    assert left(run) == []


def test_the_tolerance_is_the_precisions_or_as_said_and_what_was_there_stays(run, numbers):
    good = run_cli("export", run, "format=numbers").last
    before = Path(good).read_text()
    numbers.wrong = lambda out: out * 1.02
    assert_well_said(run_cli("export", run, "format=numbers"), 3, ["0.02", "0.001 is allowed"])
    assert Path(good).read_text() == before
    assert sorted(left(run)) == ["pets-1-fp32.numbers", "pets-1-fp32.numbers.sha256.json"]
    assert run_cli("export", run, "format=numbers", "precision=int8").code == 0
    assert_well_said(
        run_cli("export", run, "format=numbers", "precision=int8", "tolerance=0.01"), 3, ["0.01 is"]
    )
    assert run_cli("export", run, "format=numbers", "tolerance=0.03").code == 0


def test_verify_knows_the_exported_files_of_a_run(run, numbers, tmp_path):
    file = Path(run_cli("export", run, "format=numbers").last)
    run_cli("export", run, "format=numbers", f"out={tmp_path / 'away.numbers'}")
    assert [path.name for path in tmp_path.glob("away*")] == ["away.numbers"]
    record = file.with_name(file.name + ".sha256.json")
    assert run_cli("verify", run).last.endswith("whole")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert_well_said(run_cli("verify", run), 3, [file.name, "SHA-256 differs"])
    run_cli("export", run, "format=numbers")  # an export anew mends it
    assert run_cli("verify", run).last.endswith("whole")
    sealed = record.read_bytes()
    record.write_bytes(sealed.replace(file.name.encode(), b"other.numbers", 1))
    assert_well_said(run_cli("verify", run), 3, [record.name, "SHA-256 differs"])
    record.write_bytes(sealed)
    file.unlink()
    assert_well_said(run_cli("verify", run), 3, [file.name, "is missing"])
    record.unlink()  # as of a version that kept none
    assert run_cli("verify", run).last.endswith("whole")


def test_a_single_exported_file_is_judged_by_the_checksums_beside_it(run, numbers, tmp_path):
    file = Path(run_cli("export", run, "format=numbers").last)
    picture = save(run, tmp_path / "a.png", 0)
    moved = Path(shutil.copy(file, tmp_path))
    folder, whole = file.parent, file.read_text()
    for path in (file, folder):
        assert run_cli("verify", path).out == f"{path}: whole\n"
    file.write_text(whole.replace("0.", "1.", 1))
    for path in (file, folder, file.with_name(f"{file.name}.sha256.json")):
        assert_well_said(run_cli("verify", path), 3, [file.name, "SHA-256 differs"])
    assert_well_said(run_cli("predict", file, picture), 3, ["SHA-256 differs", "export the run"])
    assert run_cli("predict", moved, picture).code == 0
    assert_well_said(run_cli("verify", moved), 2, ["cannot be judged", ".sha256.json"])
    (tmp_path / "empty").mkdir()
    assert_well_said(run_cli("verify", tmp_path / "empty"), 2, ["cannot be judged"])
    run_cli("export", run, "format=numbers", f"out={file}", "batch=1")  # its checksums go with it
    assert run_cli("verify", file).out == f"{file}: whole\n"


def test_a_part_of_an_export_is_judged_with_the_whole(tmp_path):
    parts = {name: tmp_path / name for name in ("a.xml", "a.bin")}
    for path in parts.values():
        path.write_bytes(b"whole")
    record(parts["a.xml"]).write_bytes(record_text(parts))
    assert [checkpoint.verify(path) for path in parts.values()] == [[], []]
    parts["a.bin"].write_bytes(b"whale")
    for path in parts.values():
        assert [str(damage.file) for damage in checkpoint.verify(path)] == [str(parts["a.bin"])]


def test_int8_looks_at_the_training_part(run, numbers):
    sn.load(run).export("numbers", precision="int8", calibration=7)
    train = sn.load(run).parts()[0]
    wanted = [sample.image_CHW for sample in spread(train, 7)]
    assert len(numbers.graph.samples) == 7
    assert all(torch.equal(a, b) for a, b in zip(numbers.graph.samples, wanted, strict=True))
    assert numbers.graph.pictures.dtype == torch.uint8


def test_another_makers_file_is_never_replaced(run, numbers, tmp_path):
    own = tmp_path / "own.numbers"
    own.write_text("mine")
    told = run_cli("export", run, "format=numbers", f"out={own}")
    assert_well_said(told, 2, ["own.numbers is there and was not written by Snellen"])
    assert own.read_text() == "mine"
    fresh = tmp_path / "a" / "b.numbers"
    assert run_cli("export", run, "format=numbers", f"out={fresh}").last == str(fresh)
    assert run_cli("export", run, "format=numbers", f"out={fresh}").code == 0
    formats.runtimes()["numbers"].beside = (".bin",)
    (tmp_path / "c.bin").write_text("mine")
    told = run_cli("export", run, "format=numbers", f"out={tmp_path / 'c.numbers'}")
    assert_well_said(told, 2, ["c.bin is there"])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["format=onx"], "no 'onx' in the formats of export; did you mean onnx?"),
     (["precision=int4"], "did you mean int8?"),
     (["precison=int8"], "did you mean precision=int8?"),
     (["format=torch", "precision=int8"], "format=torch has fp32, bf16"),
     (["format=onnx", "precision=bf16"], "format=onnx has fp32, int8"),
     (["format=torch", "batch=none"], "batch=none: a number of pictures is wanted"),
     (["format=torch", "out=a.onnx"], "ends in .pt2"),
     (["format=torch", "tolerance=nan"], "nan is not a number that can be used"),
     (["format=torch", "tolerance=-1"], "-1.0 is not in the range"),
     (["format=torch", "calibration=0"], "calibration")],
)  # fmt: skip
def test_words_that_cannot_be_followed(run, words, wanted):
    assert_well_said(run_cli("export", run, *words), 2, [wanted])
    assert left(run) == []


@pytest.mark.parametrize("words", [{"tolerance": float("nan")}, {"tolerance": -1.0},
                                   {"tolerance": float("inf")}, {"calibration": 0}])  # fmt: skip
def test_checks_that_check_nothing_are_refused_from_python_too(run, words):
    with pytest.raises(UsageError, match="or more is wanted"):
        sn.load(run).export("torch", **words)
    assert left(run) == []


def test_what_is_not_installed_is_said_with_how_to_get_it(run, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    hidden = lambda name, *more: None if name in EXTRA else find(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    for name in ("onnx", "openvino"):
        told = run_cli("export", run, f"format={name}", "precision=int8")
        assert_well_said(told, 2, ["needs onnx, onnxscript", "pip install 'snellen[export]'"])
    (tmp_path / "some.onnx").touch()
    told = run_cli("predict", tmp_path / "some.onnx", "a.png")
    assert_well_said(told, 2, ["some.onnx needs", "pip install 'snellen[export]'"])


def test_damaged_and_missing_runs(trained, tmp_path):
    damaged_run(tmp_path, trained)
    assert_well_said(run_cli("export", tmp_path / "hurt", "format=torch"), 3, ["damaged"])
    assert_well_said(run_cli("export", tmp_path / "none", "format=torch"), 3, ["no run at"])
    assert_well_said(run_cli("bench", tmp_path / "none"), 3, ["no run at"])


def test_a_module_of_ones_own_is_given_again(tmp_path, numbers):
    x = np.random.RandomState(0).rand(24, 8, 8).astype(np.float32)
    y = np.arange(24) % 2
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    path = sn.train((x, y), model=net, epochs=1, quiet=True, doctor=False, lr=0.01,
                    project=str(tmp_path)).path  # fmt: skip
    assert_well_said(run_cli("export", path, "format=torch", "data=digits"), 2,
                     ["own module", "model=net"])  # fmt: skip
    run = sn.load(path, model=net)
    with pytest.raises(UsageError, match="trained on arrays, which it did not keep; give data="):
        run.export("torch")
    done = run.export("torch", data=(x, y))
    card = formats.Card.read(formats.runtimes()["torch"].card(done.path), done.path)
    assert (card.input["dtype"], card.input["shape"]) == ("float32", [0, 1, 8, 8])
    assert card.input["meaning"].startswith("floats in 0..1")
    found = torch.export.load(done.path).module()(torch.from_numpy(x[:, None]))[0]
    assert torch.allclose(found.argmax(1), torch.tensor([p.label for p in run.predict(x)]))


class Two(nn.Module):
    """A list of raw maps, as detectors give."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return [self.conv(x), self.conv(x).mean((2, 3))]


class Lists(Classify):
    """Decodes the second of two maps."""

    def decode(self, out, batch):
        assert isinstance(out, list)
        return super().decode(out[1], batch)


def of(net, task=Lists):
    inputs = Inputs(3, 8, 8, (0.5,) * 3, (0.25,) * 3, "bytes")
    spec = {"classes": list("abcd"), "inputs": inputs.as_dict()}
    return Predictor(net, task(spec), Compute.of("cpu"))


def some(count: int) -> list[Sample]:
    x = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8,
                      generator=torch.Generator().manual_seed(0))  # fmt: skip
    return [Sample(one, Target(label=i % 4)) for i, one in enumerate(x)]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_lists_of_maps_come_back_as_lists_in_any_number(size, tmp_path):
    predictor, samples = of(Two()), some(5)
    graph = graph_of(predictor, Wish("torch", batch=size), "", (samples, []))
    assert graph.card.outputs == {"kind": "list", "count": 2}
    exported = ExportedNet(lambda x: [out.numpy() for out in graph.module(torch.tensor(x))],
                           graph.card)  # fmt: skip
    asked = []
    graph.module.register_forward_pre_hook(lambda module, x: asked.append(len(x[0])))
    with torch.no_grad():
        told = list(Predictor(exported, predictor.task, Compute.of("cpu"), prepares=False)
                    .samples(samples))  # fmt: skip
    assert asked == {0: [5], 1: [1] * 5, 3: [3, 2]}[size]
    for own, found in zip(predictor.samples(samples), told, strict=True):
        assert torch.allclose(own.scores_K, found.scores_K, atol=1e-6)
    with pytest.raises(DataError, match="takes uint8 pictures, and these are float32"):
        exported(torch.zeros(1, 3, 8, 8))


def test_normalisation_inside_is_the_one_outside():
    for kind, mean, std in (("bytes", (0.5, 0.1), (0.25, 2.0)), ("0..1", (0.0, 0.0), (1.0, 1.0))):
        inputs = Inputs(2, 4, 4, mean, std, kind)
        x = torch.randint(0, 256, (3, 2, 4, 4), dtype=torch.uint8)
        x = x if kind == "bytes" else x / 255
        found = Prepared(nn.Identity(), inputs)(x)[0]
        assert torch.allclose(found, inputs.prepare(x), atol=1e-6)


@pytest.mark.parametrize(
    "strange", [lambda x: {"a": x}, lambda x: [x, [x]], lambda x: (), lambda x: None]
)
def test_outputs_that_no_graph_holds_are_refused(strange, tmp_path, numbers):
    class Strange(nn.Module):
        def forward(self, x):
            return strange(x)

    with pytest.raises(UsageError, match="a list or tuple of tensors"):
        export(of(Strange()), Wish("numbers"), tmp_path, (Part(some(4)), Part(some(4))))
    assert not (tmp_path / "export").exists()


def test_a_forward_that_decides_by_values_is_refused_with_a_reason(tmp_path):
    class Decides(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    part = Part(some(4))
    with pytest.raises(UsageError, match=r"cannot be written as a graph: .*batch=1"):
        export(of(Decides(), Classify), Wish("torch"), tmp_path, (part, part))


class Part(list):
    """A list as a sample set."""


def test_predict_takes_an_exported_file(run, numbers, tmp_path, monkeypatch):
    data = [str(path) for path in sorted((run.parent / "seen" / "x").glob("*.png"))] or [
        str(save(run, tmp_path / f"{i}.png", i)) for i in (0, 25)
    ]
    assert_well_said(run_cli("predict", run, "via=numbers", *data), 3, ["no exported file"])
    path = run_cli("export", run, "format=numbers").last
    own = run_cli("predict", run, *data)
    for words in ([path], [run, "via=numbers"]):
        found = run_cli("predict", *words, *data)
        assert (found.code, found.out) == (0, own.out), found.err
        assert len(found.out.splitlines()) == 2
    as_json = run_cli("predict", path, *data, "--json")
    assert [json.loads(line)["label"] for line in as_json.out.splitlines()] == [
        line.split("\t")[1] for line in own.out.splitlines()
    ]
    run_cli("export", run, "format=numbers", "precision=int8")
    assert_well_said(run_cli("predict", run, "via=numbers", *data), 2, ["has 2 exported", "int8"])
    assert_well_said(run_cli("predict", run, "via=onxx", *data), 2, ["did you mean onnx"])
    assert_well_said(
        run_cli("predict", run, "via=torch", *data), 2, ["opens no .pt2", "leave via="]
    )
    for verb in ("bench", "eval"):
        assert_well_said(run_cli(verb, path), 3, ["is a file and no run", f"the run {run}"])
    monkeypatch.setattr(numbers, "beside", (".bin",), raising=False)
    weights = Path(path).with_suffix(".bin")
    weights.touch()
    assert_well_said(run_cli("predict", weights, *data), 2, [f"belongs to {path}; name that one"])
    numbers.beside = ()
    for text in (
        "{}",
        '{"task": "classify", "spec": {}, "precision": "", "input": {}, "outputs": {}}',
    ):
        moved = tmp_path / "moved.numbers"
        moved.write_text(text)
        assert_well_said(run_cli("predict", moved, *data), 3, ["export the run again"])
    moved.write_text("{}")
    assert_well_said(run_cli("predict", moved, *data), 3, ["not written by `snellen export`"])
    assert_well_said(run_cli("predict", tmp_path / "no.numbers", *data), 3, ["there is no"])
    (tmp_path / "x.pt2").touch()
    assert_well_said(run_cli("predict", tmp_path / "x.pt2", *data), 2, ["run code that it holds"])


def save(run: Path, path: Path, row: int) -> Path:
    """A picture of the run's data as a file."""
    image = sn.load(run).parts()[1][row].image_CHW
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


def test_bench_measures_all_that_is_here(run, numbers, tmp_path, monkeypatch):
    numbers.refused = {"bf16": "no", "int8": "no"}
    numbers.computing = lambda precision: "whole numbers"
    for name in ("onnx", "openvino"):
        monkeypatch.setattr(formats.runtimes()[name], "needs", ("not_there_at_all",))
    assert_well_said(run_cli("bench", run, "seconds=nan"), 2, ["nan is not a number"])
    file = tmp_path / "bench.json"
    done = run_cli("bench", run, "seconds=0.3", "batch=4", f"json={file}")
    assert done.code == 0, done.err
    found = json.loads(file.read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == ["eager fp32", "eager bf16 channels_last", "torch fp32", "torch bf16",
                          "numbers fp32"]  # fmt: skip
    assert rows["eager fp32"]["faster"] == 1
    assert all(0 < row["median"] <= row["p99"] and row["throughput"] > 0 for row in rows.values())
    assert rows["torch fp32"]["difference"] < 1e-5 < rows["torch bf16"]["difference"]
    exported = sn.load(run).export("torch", precision="bf16", out=tmp_path / "bf16.pt2")
    assert rows["torch bf16"]["difference"] == pytest.approx(exported.difference, rel=1e-3)
    assert [note.split(":")[0] for note in found["notes"][:2]] == ["onnx", "openvino"]
    assert found["notes"][2:] == ["numbers fp32: computed in whole numbers"]
    assert "pip install 'snellen[export]'" in done.out
    assert left(run) == []


def test_distance_is_of_the_largest_output():
    assert distance(torch.tensor([0.0, 3.0]), torch.tensor([1.0, -4.0])) == 7 / 4
    assert np.isnan(distance(torch.tensor([float("nan"), 1.0]), torch.ones(2)))


@needs_extra
@pytest.mark.parametrize(
    ("format", "precision"),
    [("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "bf16"),
     ("openvino", "int8")],
)  # fmt: skip
def test_a_file_of_the_extra_says_the_same(run, format, precision, tmp_path):
    done = sn.load(run).export(format, precision=precision)
    limit = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.1}[precision]
    assert done.difference < limit
    assert done.difference > 1e-5 or precision == "fp32"
    text = done.path.read_bytes()
    assert str(Path(sn.__file__).parent).encode() not in text  # nor any path of this machine
    net = open_file(formats.runtimes()[format], done.path)
    for count in (1, 3):
        x = pictures(run, count)
        assert distance(net(torch.from_numpy(x)), logits(run, x)) < limit
    file = save(run, tmp_path / "a.png", 25)
    own, found = run_cli("predict", run, file), run_cli("predict", done.path, file)
    assert own.out.split("\t")[1] == found.out.split("\t")[1], found.err
    done.path.write_bytes(text[: len(text) // 2])
    assert_well_said(run_cli("predict", done.path, file), 3, ["SHA-256 differs", "export"])
    record(done.path).unlink()
    assert_well_said(run_cli("predict", done.path, file), 3, ["cannot be read by", "export"])


@needs_extra
@pytest.mark.parametrize(("capabilities", "said"), [(["FP32", "BF16"], "bf16"), (["FP32"], "fp32")])
def test_a_file_says_what_it_is_computed_in_here(capabilities, said, monkeypatch):
    class Core:
        def get_property(self, device, name):
            return capabilities

    openvino = formats.runtimes()["openvino"]
    monkeypatch.setattr(f"{type(openvino).__module__}._core", Core)
    assert openvino.computing("bf16").split()[0] == said
    assert openvino.computing("int8") == "int8"
    assert formats.runtimes()["torch"].computing("bf16") == "bf16"


@needs_extra
def test_openvino_keeps_convolutions_by_groups_in_float(tmp_path):
    """Its int8 ones are wrong; depthwise ones, which are right, stay int8."""
    torch.manual_seed(0)
    convs = [nn.Conv2d(3, 24, 3), nn.Conv2d(24, 24, 1, groups=3), nn.Conv2d(24, 24, 3, groups=24)]
    layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
    layers += [nn.Flatten(), nn.Linear(384, 4)]
    part = Part(some(16))
    predictor = of(nn.Sequential(*layers), Classify)
    done = export(predictor, Wish("openvino", "int8"), tmp_path, (part, part))
    assert done.difference < 0.1
    data = [one.attrib for one in ElementTree.parse(done.path).iter("data")]
    kinds = {one["shape"].replace(" ", ""): one["element_type"] for one in data if "shape" in one}
    assert kinds["24,8,1,1"] == "f32"
    assert kinds["24,3,3,3"] == "i8"
    assert "i8" in (kinds.get("24,1,1,3,3"), kinds.get("24,1,3,3")), kinds


FORKS = """
import gc, os, signal, sys
from pathlib import Path
import numpy as np
from snellen.serve import runtime as formats
from snellen.serve.exported import open_file
path = Path(sys.argv[1])
nets = [open_file(formats.runtimes()["openvino"], path) for _ in range(2)]
for net in nets:
    net.run(np.zeros([1, *net.card.input["shape"][1:]], net.card.input["dtype"]))
del net
while nets:
    nets.pop(0)
    gc.collect()
signal.signal(signal.SIGCHLD, lambda *_: None)
for _ in range(3):
    if os.fork() == 0:
        os._exit(0)
for _ in range(3):
    os.wait()
print("alive")
"""


@needs_extra
def test_a_process_outlives_the_files_that_it_had_open(run, tmp_path):
    """A signal comes, as of a loader's worker that ends, after two were let go."""
    done = sn.load(run).export("openvino")
    command = [sys.executable, "-c", FORKS, str(done.path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == "alive\n", ended.stderr


@needs_extra
def test_onnxruntime_alone_reads_it(run):
    import onnxruntime

    session = onnxruntime.InferenceSession(sn.load(run).export().path)
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["classes"].split("\n") == ["ant", "bee"]
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == (
        "images",
        "tensor(uint8)",
        ["batch", 3, 16, 16],
    )
    x = pictures(run, 4)
    (found,) = session.run(None, {"images": x})
    assert np.allclose(found, logits(run, x), atol=1e-5)


@needs_extra
def test_the_pages_commands_of_the_extra_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_digit(tmp_path / "digit.png")
    assert run_cli("train", "digits", "model=lenet5_bn", "epochs=1", "doctor=no").code == 0
    lines = re.findall(r"^    snellen (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        done = run_cli(*line.split())
        assert done.code == 0, f"{line}\n{done.err}"


def save_digit(path: Path) -> None:
    from sklearn.datasets import load_digits

    Image.fromarray((load_digits().images[0] * 15).astype(np.uint8)).save(path)


def test_a_network_that_ends_openvinos_process_is_refused(run, tmp_path, monkeypatch):
    """Nothing in a process can catch a signal of its own arithmetic."""
    room = pytest.importorskip("snellen.serve.runtimes.openvino")
    pytest.importorskip("openvino")
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGFPE)"
    monkeypatch.setattr(room, "COMPILED", dies)
    with pytest.raises(sn.UsageError, match=r"ends the process \(signal 8\).*take format=onnx"):
        sn.load(run).export("openvino", precision="int8", out=tmp_path / "it.xml")
    assert list(tmp_path.iterdir()) == [run]
