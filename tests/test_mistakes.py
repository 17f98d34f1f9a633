"""The list of users' mistakes: each ends in at most 8 lines that name the thing and the way out.

A row of MISTAKES is (id, what is prepared in an empty folder, the words typed there, exit code,
what the message must hold). Words are split at blanks; {run} is a good run, {pets} good data.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from little_data import (
    Prepare,
    all_unreadable,
    arrays,
    csv_of_missing,
    damaged_run,
    folders,
    idx,
    other_network,
    pets,
    pickled,
    some_x,
    text,
    unknown_val,
)
from running import assert_well_said, run_cli

import snellen as sn
from snellen.core.errors import DataError, SnellenError, UsageError

QUICK = "epochs=1 model=lenet5_bn imgsz=16 project=runs"

MISTAKES: list[tuple[str, Prepare | None, str, int, list[str]]] = [
    # words and values
    ("unknown verb", None, "trian digits", 2, ["'trian'", "did you mean train?"]),
    ("unknown option", None, "doctor --jsn f.json x.py", 2, ["--jsn", "--json"]),
    ("unknown setting", None, "train digits epcohs=3", 2, ["'epcohs'", "did you mean epochs?"]),
    ("lr is a word", None, "train digits lr=abc", 2, ["lr='abc'", "for example lr=0.01"]),
    ("lr negative", None, "train digits lr=-1", 2, ["lr=-1", "positive"]),
    ("lr nan", None, "train digits lr=nan", 2, ["lr=nan", "positive"]),
    ("lr infinite", None, "train digits --lr inf", 2, ["lr=inf", "positive"]),
    ("epochs a fraction", None, "train digits epochs=1.5", 2, ["epochs='1.5'", "whole number"]),
    ("epochs negative", None, "train digits epochs=-2", 2, ["epochs=-2", "and 1,000,000"]),
    ("batch zero", None, "train digits batch=0", 2, ["batch=0", "between 1 and 10,000,000"]),
    ("imgsz zero", None, "train digits imgsz=0", 2, ["imgsz=0", "between 1 and 100,000 pixels"]),
    ("split two", None, "train digits split=2", 2, ["split=2", "between 0 and 0.9"]),
    ("setting empty", None, "train digits batch=", 2, ["batch= has no value"]),
    ("setting twice", None, "train digits batch=4 --bs 8", 2, ["batch", "4 and 8"]),
    ("value missing", None, "train digits --epochs", 2, ["--epochs needs a value"]),
    ("two data sets", None, "train digits shapes", 2, ["'shapes'", "digits"]),
    ("optimiser misspelt", None, "train digits optim=adma", 2,
     ["optim='adma'", "did you mean adam"]),
    ("schedule misspelt", None, "train digits schedule=cosin", 2,
     ["'cosin'", "did you mean cosine?"]),
    ("augment misspelt", None, "train digits augment=flipp", 2, ["flipp", "flip"]),
    ("model misspelt", None, "train digits model=resnet5o", 2, ["resnet5o", "resnet50"]),
    ("task misspelt", None, "train digits task=clasify", 2, ["clasify", "classify"]),
    ("recipe misspelt", None, "train recipe=nonesuch", 2, ["nonesuch"]),
    ("no such device", None, "train digits device=gpu9", 2, ["gpu9", "cpu"]),
    ("no such GPU", None, "train digits device=cuda:7", 2, ["cuda:7"]),
    ("freeze nothing", None, "train digits epochs=1 freeze=nosuch", 2, ["freeze=nosuch"]),
    ("model too deep", None, "train digits model=lenet5 imgsz=3", 2, ["lenet5", "3"]),
    ("no data named", None, "train epochs=3", 2, ["snellen train digits"]),
    ("name a path", None, f"train digits name=a/b {QUICK}", 2, ["a/b"]),
    # data
    ("wrong path", None, "train pest/", 3, ["pest"]),
    ("wrong path, near one", pets, "train pest", 3, ["pest", "pets"]),
    ("misspelt word", None, "train digist", 3, ["digist", "digits"]),
    ("empty folder", lambda r: (r / "void").mkdir(), "train void", 3, ["void"]),
    ("empty path", None, "train data=", 2, ["data= has no value"]),
    ("one class", lambda r: folders(r / "one", "ant"), f"train one {QUICK}", 3, ["one", "ant"]),
    ("all pictures broken", all_unreadable, f"train bad {QUICK}", 3, ["bad"]),
    ("a text file", text("notes.txt", "hello"), "train notes.txt", 3, ["notes.txt"]),
    ("csv empty", text("a.csv", ""), "train a.csv", 3, ["a.csv", "path"]),
    ("csv lacks a column", text("a.csv", "path,width,height\nx.png,3,4\n"), "train a.csv", 3,
     ["a.csv", "width", "label"]),
    ("csv, label left out", text("a.csv", "path,label\nx.png\n"), "train a.csv", 3, ["a.csv"]),
    ("csv of missing files", csv_of_missing, "train a.csv", 3, ["a.csv", "gone0.png"]),
    ("npz without y", arrays("a.npz", x=some_x()), "train a.npz", 3, ["a.npz", "y"]),
    ("npz of objects", arrays("a.npz", x=np.array([{}, []], object), y=np.zeros(2)),
     "train a.npz", 3, ["a.npz", "Python objects"]),
    ("npz of two lengths", arrays("a.npz", x=some_x(12), y=np.zeros(9, int)),
     "train a.npz", 3, ["12", "9"]),
    ("npz cut off", text("a.npz", "PK\x03\x04 cut"), "train a.npz", 3, ["a.npz"]),
    ("labels fractions", arrays("a.npz", x=some_x(12), y=np.linspace(0, 1, 12)),
     "train a.npz", 3, ["label"]),
    ("idx cut off", idx, "train .", 3, ["train-images-idx3-ubyte.gz", "copy it again"]),
    ("val of other classes", unknown_val, f"train pets val=held {QUICK}", 3, ["dog", "ant"]),
    ("val wrong path", pets, f"train pets val=hold {QUICK}", 3, ["hold"]),
    ("check wrong path", None, "check data=nosuch", 3, ["nosuch"]),
    ("data wrong path", None, "data nosuch", 3, ["nosuch"]),
    # files that hold weights
    ("weights missing", None, "train digits weights=no.pt", 3, ["no.pt"]),
    ("weights pickled", pickled, "train digits weights=bad.pt", 3, ["bad.pt"]),
    ("weights of another network", other_network, "train digits weights=other.pt", 3,
     ["weight"]),
    # runs
    ("resume nothing", None, "train resume=runs/none-1", 3, ["runs/none-1"]),
    ("resume no run", pets, "train resume=pets", 3, ["pets", "config.yaml"]),
    ("resume, other lr", None, "train resume={run} lr=0.5", 2, ["lr=0.5"]),
    ("resume and recipe", None, "train resume={run} recipe=x", 2, ["recipe"]),
    ("eval nothing", None, "eval runs/none-1", 3, ["runs/none-1"]),
    ("eval of no argument", None, "eval", 2, ["RUN", "eval --help"]),
    ("eval, wrong data", None, "eval {run} data=nosuch", 3, ["nosuch"]),
    ("eval, data gone", None, "eval {moved}", 3, ["pets"]),
    ("predict a missing file", None, "predict {run} gone.png", 3, ["gone.png"]),
    ("predict an empty folder", lambda r: (r / "void").mkdir(), "predict {run} void", 3, ["void"]),
    ("predict, no files", None, "predict {run}", 2, ["FILES"]),
    ("predict, damaged weights", None, "predict {hurt} a.png", 3, ["best.safetensors"]),
    ("eval, damaged weights", None, "eval {hurt}", 3, ["best.safetensors"]),
    ("verify damaged", None, "verify {hurt}", 3, ["best.safetensors"]),
    ("verify nothing", None, "verify gone", 3, ["gone"]),
    ("runs in no folder", None, "runs nosuch", 3, ["nosuch"]),
    # outputs
    ("project is a file", text("runs", "x"), f"train digits {QUICK}", 2, ["runs"]),
    ("json into no folder", pets, "check pets --json no/f.json", 2, ["no/f.json"]),
    # the doctor
    ("doctor, no script", None, "doctor gone.py", 2, ["gone.py"]),
    ("doctor, nothing", None, "doctor", 2, ["train.py"]),
    ("doctor, no such check", None, "doctor --explain lr-to-high", 2, ["lr-too-high"]),
    ("doctor, wrong level", None, "doctor --fail-on fatal x.py", 2, ["fatal", "warning"]),
    ("doctor, folder is no run", pets, "doctor pets", 3, ["pets", "config.yaml"]),
    ("model unknown", None, "models resnet5o", 2, ["resnet5o", "resnet50"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Good data, a good run of it, the run damaged, and the run when its data are gone."""
    root = tmp_path_factory.mktemp("good")
    pets(root)
    run = sn.train(root / "pets", epochs=1, model="lenet5_bn", imgsz=16, project=root / "runs",
                   quiet=True)  # fmt: skip
    damaged_run(root, run.path)
    other = tmp_path_factory.mktemp("moved")
    pets(other)
    moved = sn.train(other / "pets", epochs=1, model="lenet5_bn", imgsz=16,
                     project=other / "runs", quiet=True)  # fmt: skip
    shutil.rmtree(other / "pets")
    return {"run": run.path, "hurt": root / "hurt", "moved": moved.path, "pets": root / "pets"}


def test_the_list_is_long_and_its_names_are_different():
    ids = [row[0] for row in MISTAKES]
    assert len(set(ids)) == len(ids)
    assert len(ids) >= 60


@pytest.mark.parametrize(
    ("prepare", "words", "code", "wanted"),
    [row[1:] for row in MISTAKES],
    ids=[row[0].replace(" ", "-") for row in MISTAKES],
)
def test_mistake(prepare, words, code, wanted, places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if prepare:
        prepare(tmp_path)
    before = files(tmp_path)
    ended = run_cli(*words.format(**places).split())
    assert_well_said(ended, code, wanted)
    assert files(tmp_path) == before, "an error leaves nothing behind"


def files(root: Path) -> set[Path]:
    """What lies in a folder; an empty `runs` is no litter."""
    return {p for p in root.rglob("*") if p != root / "runs" or p.is_file()}


# The same mistakes in Python ----------------------------------------------------------------------

CALLS: list[tuple[str, Callable[[], object], type[SnellenError], list[str]]] = [
    ("two lengths", lambda: sn.train((some_x(12), [0] * 9)), DataError, ["12", "9"]),
    ("no samples", lambda: sn.train((some_x(0), [])), DataError, ["0"]),
    ("one class", lambda: sn.train((some_x(), [1] * 12)), DataError, ["class"]),
    ("flat x", lambda: sn.train((np.zeros(12), [0, 1] * 6)), DataError, ["12"]),
    ("label is None", lambda: sn.train((some_x(4), [0, 1, None, 0])), DataError, ["None"]),
    ("setting misspelt", lambda: sn.train("digits", epcohs=3), UsageError, ["epochs"]),
    ("lr a word", lambda: sn.train("digits", lr="abc"), UsageError, ["lr"]),
    ("epochs a list", lambda: sn.train("digits", epochs=[3]), UsageError, ["epochs"]),
    ("model misspelt", lambda: sn.train("digits", model="resnet5o"), UsageError, ["resnet50"]),
    ("model a class", lambda: sn.train("digits", model=torch.nn.Linear), SnellenError, ["Linear"]),
    ("data a number", lambda: sn.train(3), DataError, ["int"]),
    ("no data", lambda: sn.train(), UsageError, ["data"]),
    ("sn.model misspelt", lambda: sn.model("vgg17"), UsageError, ["vgg"]),
    ("no classes", lambda: sn.model("resnet18", classes=0), UsageError, ["classes=0"]),
    ("load nothing", lambda: sn.load("runs/none-1"), DataError, ["runs/none-1"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "wanted"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS]
)
def test_mistake_in_python(call, kind, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        call()
    for words in wanted:
        assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 8
    assert not list(tmp_path.glob("runs/*"))
