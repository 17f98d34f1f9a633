"""One new file is all that a new thing takes: found, listed, documented, trained, contract-tested.

The same four files, a model family, a check, a task and a data format, are dropped into a folder
that SNELLEN_PATH names, and installed as somebody's package with entry points.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snellen.__main__ import main
from snellen.core import face, parts, registry
from snellen.core.errors import LeftOut, UnknownName, UsageError

REPOSITORY = Path(__file__).resolve().parents[1]

MODEL = '''"""Two layers for tiny pictures."""
from collections import OrderedDict
from dataclasses import dataclass
from torch import nn
from snellen.models._network import Network
from snellen.models._row import Row

@dataclass(frozen=True)
class Two(Row):
    """One hidden layer."""
    params: int
    macs: int
    width: int = 4
    imgsz: int = 8
    input: tuple[int, int, int] = (3, 8, 8)
    classes: int = 10
    family = "Two"
    paper = "nobody 2026"
    thin = {"width": 6, "imgsz": 32}

    def build(self, classes, channels):
        hidden = nn.Linear(channels * self.imgsz**2, self.width)
        stages = OrderedDict(flatten=nn.Flatten(), hidden=nn.Sequential(hidden, nn.ReLU()))
        head = nn.Sequential(OrderedDict(fc=nn.Linear(self.width, classes)))
        return Network(stages, head, channels)

TABLE = {"twolayer": Two(822, 808)}
'''
CHECK = '''"""A loss that is exactly 7 brings luck, and no network gives that."""
from snellen.doctor.chart import Chart
from snellen.doctor.check import Check

class Seven(Check):
    """The loss is exactly 7 at every step."""
    id = "loss-lucky-number"
    signal = "the loss"
    threshold = 7.0
    source = "a test"
    why = "no real loss stays at a number"
    do = "look for a constant in the loss"
    bad = "loss = loss * 0 + 7"
    good = "loss = loss"
    def look(self, chart):
        losses = [row["loss"] for row in chart.steps if "loss" in row]
        if len(losses) < 3 or any(loss != self.threshold for loss in losses):
            return None
        return self.finding(f"the loss is 7 at all {len(losses)} steps", confidence=0.9)

def _chart(loss):
    chart = Chart()
    for step in range(1, 9):
        values = {"loss": loss / step if loss < 7 else loss}
        chart.record({"kind": "step", "step": step, "values": values})
    return chart

def sick():
    return _chart(7.0)

def healthy():
    return _chart(2.0)

CHECKS = {Seven.id: Seven()}
'''
TASK = '''"""One class an image, by another name."""
from snellen.tasks.classify import Classify

class Sorting(Classify):
    name = "sorting"
    about = "one class an image, sorted"
    default_model = "twolayer"
    @classmethod
    def tiny(cls):
        return {"data": "stripes", "model": "twolayer", "epochs": 1, "imgsz": 8}

TASKS = {"sorting": Sorting}
'''
FORMAT = '''"""The word stripes: pictures with a bright row, which is the class."""
import torch
from pathlib import Path
from snellen.data.sets import ArraySet
from snellen.data.source import Format, Source

class Stripes(Format):
    name = "stripes"
    about = "the word stripes: a bright row in noise"
    def detect(self, path): return str(path) == "stripes"
    def open(self, path):
        x = torch.randint(0, 60, (120, 3, 8, 8), generator=torch.Generator().manual_seed(0))
        y = torch.arange(120) % 3
        x[torch.arange(120), :, 2 * y] += 150
        images = ArraySet(x.to(torch.uint8), y)
        return Source("stripes", self.name, images, ("top", "middle", "low"))
    def example(self, folder): return Path("stripes")

FORMATS = {"stripes": Stripes()}
'''
FILES = {  # file in its room -> text
    "models/two.py": MODEL,
    "doctor/checks/loss_lucky_number.py": CHECK,
    "tasks/sorting.py": TASK,
    "data/formats/stripes.py": FORMAT,
}
NEW = "twolayer or loss-lucky-number or sorting or stripes"


def drop_in(folder: Path) -> dict[str, str]:
    """A workshop of the user's own, named by SNELLEN_PATH."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {"SNELLEN_PATH": str(folder)}


def install(folder: Path) -> dict[str, str]:
    """A package as pip would leave it: its modules, and its entry points in a dist-info."""
    entries = []
    for name, text in FILES.items():
        room, stem = name.removesuffix(".py").rsplit("/", 1)
        (folder / "acme").mkdir(exist_ok=True)
        (folder / "acme" / f"{stem}.py").write_text(text)
        entries.append(f"[snellen.{room.replace('/', '.')}]\n{stem} = acme.{stem}\n")
    (folder / "acme" / "__init__.py").touch()
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(entries))
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module", params=[drop_in, install], ids=["folder", "package"])
def more(request, tmp_path_factory) -> dict[str, str]:
    """The environment in which the four new things are there."""
    return {**os.environ, **request.param(tmp_path_factory.mktemp("more"))}


def ask(more: dict[str, str], *words: object, cwd: Path | None = None) -> str:
    """What a fresh Python prints; a failure shows what it said."""
    done = subprocess.run([sys.executable, *map(str, words)], env=more, cwd=cwd,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


NAMES = ("twolayer", "loss-lucky-number", "sorting", "stripes")
WORDS = ("train", "data=stripes", "task=sorting", "model=twolayer", "epochs=8", "batch=10",
         "lr=0.01", "optim=adam", "threads=1")  # fmt: skip


@pytest.fixture(scope="module")
def answers(more, tmp_path_factory) -> list[str]:
    """What a fresh Python with them prints, in one process: the command line's answers on each,
    the catalogue pages that name them, and the folder of a training of all four.
    """
    folder = tmp_path_factory.mktemp("asked")
    script = folder / "ask.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from snellen.__main__ import main\n"
        "for words in (['models', 'twolayer', '--json'], ['data', 'stripes', '--json'],\n"
        "              ['doctor', '--explain', 'loss-lucky-number']):\n"
        "    main(words); print('---')\n"
        "main(['train', 'data=stripes', 'task=sortign'])\n"
        "from tools import docs\n"
        "print([name for name, write in docs.BLOCKS.items() if name != 'cli-help'\n"
        f"       and any(word in write() for word in {NAMES})])\n"
        "print('---'); sys.exit(main(sys.argv[2:]))\n"
    )
    return ask(more, script, REPOSITORY, *WORDS, f"project={folder}").split("---\n")


def test_listed_and_documented(answers):
    model, data, check, pages, _ = answers
    assert json.loads(model)["params"] == 822
    assert json.loads(data)["format"] == "stripes"
    assert "look for a constant in the loss" in check
    assert set(pages.strip()[1:-1].replace("'", "").split(", ")) >= {"models", "checks", "formats"}


def test_contract_tests_take_them_up(tmp_path):
    """The same tests as for what is shipped, unedited, for the new names only: of a package, as
    test_docs asks of a folder with CONTRIBUTING's examples.
    """
    more = {**os.environ, **install(tmp_path)}
    tests = [REPOSITORY / "tests" / f"test_{name}.py"
             for name in ("models", "checks", "formats_contract", "tasks_contract")]  # fmt: skip
    report = ask(more, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-k", NEW, *tests,
                 cwd=REPOSITORY)  # fmt: skip
    passed = [line for line in report.splitlines() if line.startswith("PASSED")]
    for room, name in (("models", "twolayer"), ("checks", "loss-lucky-number"),
                       ("formats_contract", "stripes"), ("tasks_contract", "sorting")):  # fmt: skip
        assert len([line for line in passed if f"test_{room}" in line and name in line]) >= 3


def test_all_four_work_in_one_training(answers):
    run = Path(answers[-1].splitlines()[-1])
    with open(run / "metrics.csv", newline="") as file:
        scores = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "accuracy"]
    assert max(scores) > 0.9


@pytest.fixture
def fresh(monkeypatch):
    """The registry as at the start of a process, before and after."""
    caches = (registry.collect, face.parts, face._named, face._files)
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setattr(registry, "left_out", {})
    yield monkeypatch
    for cached in caches:
        cached.cache_clear()
    for name in [name for name in sys.modules if ".zz_" in name]:
        del sys.modules[name]


def test_a_folder_that_is_not_there_is_said(fresh, tmp_path):
    fresh.setenv("SNELLEN_PATH", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match=r"SNELLEN_PATH names '.*absent', which is not a folder"):
        registry.collect("snellen.tasks", "TASKS")


def write(folder, name, text, room="tasks"):
    """A file of the user's in a room."""
    (folder / room).mkdir(exist_ok=True)
    (folder / room / f"{name}.py").write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("zz_bad", "x = 1\ndef f(:\n    pass\n", r"zz_bad\.py line 2 .*: SyntaxError: \w+"),
     ("zz_bad", "x = 1\n\ny = x / 0\n", r"zz_bad\.py line 3 .*: ZeroDivisionError"),
     ("zz_bad", "import no_such_thing\n", r"zz_bad\.py line 1 .*ModuleNotFoundError: No module"),
     ("zz_bad", "import sys\nsys.exit(3)\n", r"zz_bad\.py line 2 is left out: SystemExit: 3"),
     ("zz_bad", "raise OSError('a\\nb')\n", r"line 1 is left out: OSError: a; mend it"),
     ("zz_bad", "TASKS = ['sorting']\n", r"zz_bad\.py .*TASKS is a list; a dict is wanted"),
     ("zz_bad", "TASKS = {5: int}\n", r"zz_bad\.py .*the key 5; a name is wanted"),
     ("zz_bad", "TASKS = {'a': int, 'b': 5}\n", r"TASKS\['b'\] is a int; a type is wanted"),
     ("zz_again", "TASKS = {'classify': int}", r"'classify', which snellen\.tasks\.classify has"),
     ("zz_mine", "TASKS = {'mine:classify': int}", "which snellen.tasks.classify has"),
     ("classify", "TASKS = {}", r"classify\.py is left out: it has the name of Snellen's own")],
)  # fmt: skip
def test_a_broken_file_is_left_out_with_its_line_and_why(fresh, tmp_path, name, text, words):
    write(tmp_path, name, text)
    write(tmp_path, "zz_good", "TASKS = {'good': int}")
    fresh.setenv("SNELLEN_PATH", str(tmp_path))
    with pytest.warns(LeftOut, match=words) as warned:
        tasks = registry.collect("snellen.tasks", "TASKS", type)
    assert [str(w.message).count("\n") for w in warned] == [0]
    assert {"classify", "good"} <= set(tasks)
    assert not {"a", "b", "mine:classify"} & set(tasks)
    with pytest.raises(UnknownName, match=rf"left out, since broken: .*{name}\.py"):
        registry.get("snellen.tasks", "TASKS", "absent")


def test_what_only_a_relative_path_names_is_found_and_named(fresh, tmp_path):
    write(tmp_path, "zz_bad", "1 / 0")
    fresh.chdir(tmp_path)
    fresh.setenv("SNELLEN_PATH", ".")
    with pytest.warns(LeftOut, match=r"^tasks/zz_bad\.py line 1 is left out"):
        registry.collect("snellen.tasks", "TASKS")


PART = "from snellen.core.parts import Part\nPARTS = {{'{}': Part('{}', 'sn.nn.{}', 'x')}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [("def crop(x): return x\n", r"zz_bad\.py is left out: .*defines 'crop', which snellen\.nn\."),
     ("def losses(x): return x\n", r"'losses', which the file losses\.py of snellen\.nn has"),
     ("def zz_twice(x): return x\n", r"'zz_twice', which .*zz_again\.py has"),
     (PART.format("Maxout", "Activations", "bad"), "'Maxout', which snellen.nn.maxout has"),
     (PART.format("Adam again", "Optimizers", "bad"), "no 'Optimizers' in groups of parts; did"),
     ("PARTS = {'Mine': 'Losses'}\n", r"PARTS\['Mine'\] is a str; a Part is wanted")],
)  # fmt: skip
def test_a_file_of_parts_that_collides_is_left_out_and_the_room_stays(fresh, tmp_path, text, words):
    write(tmp_path, "zz_again", "def zz_twice(x): return x\n", "nn")
    write(tmp_path, "zz_bad", text + "def zz_bad_too(x): return x\n", "nn")
    write(tmp_path, "zz_good", PART.format("Zz", "Losses", "zz") + "def zz(x): return x\n", "nn")
    fresh.setenv("SNELLEN_PATH", str(tmp_path))
    with pytest.warns(LeftOut, match=words) as warned:
        shown = face.parts("snellen.nn"), face._named("snellen.nn"), parts.catalogue()
    assert len(warned) == 1
    assert {"crop", "Maxout", "zz", "zz_twice"} <= set(shown[0])
    assert shown[0]["crop"].__module__.startswith("snellen.nn.")
    assert not {"Adam again", "Mine"} & {name for group in shown[2].values() for name in group}
    assert "Zz" in shown[2]["Losses"]


def test_a_part_that_has_the_name_of_one_in_another_room_is_left_out(fresh, tmp_path):
    write(tmp_path, "zz_bad", PART.format("Maxout", "Optimisers", "Adam"), "optim")
    fresh.setenv("SNELLEN_PATH", str(tmp_path))
    with pytest.warns(LeftOut, match=r"'Maxout', which snellen\.nn\.maxout has"):
        found = parts.catalogue()
    assert found["Activations"]["Maxout"].where.startswith("sn.nn.Maxout")


def test_own_files_that_collide_or_misname_a_group_are_errors(fresh, tmp_path):
    (tmp_path / "zz_room").mkdir()
    for name in ("__init__", "one", "two"):
        (tmp_path / "zz_room" / f"{name}.py").write_text("def twin(): pass\n")
    fresh.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"^zz_room\.two: it defines 'twin', which zz_room\.one"):
        face.parts("zz_room")
    with pytest.raises(UnknownName, match="no 'Optimizers' in groups of parts; did you mean Opti"):
        parts.Part("Optimizers", "torch.optim.Adam", "steps")
    for name in [name for name in sys.modules if name.startswith("zz_room")]:
        fresh.delitem(sys.modules, name)


BROKEN = {
    "raises": "raise RuntimeError('no licence')",
    "leaves": "import sys; sys.exit(3)",
    "no_row": "TABLE = {'mine': 5}",
    "clashes": "from snellen.models.mlp import MLP; TABLE = {'resnet18': MLP(1, 1)}",
    "no_network": MODEL.replace("822, 808", "0, 0").replace("hidden = nn", "hidden = absent"),
}


@pytest.mark.filterwarnings("always::snellen.core.errors.LeftOut")
@pytest.mark.parametrize("name", BROKEN)
def test_the_command_line_lists_the_networks_without_a_broken_file(name, fresh, tmp_path, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"zz_{name}.py").write_text(BROKEN[name])
    fresh.setenv("SNELLEN_PATH", str(tmp_path))
    assert main(["models"]) == 0
    printed = capsys.readouterr()
    assert "resnet50" in printed.out
    assert "twolayer" not in printed.out
    assert printed.err.startswith("snellen: ")
    assert f"zz_{name}.py" in printed.err
    assert "left out" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = 1 / 0", "ZeroDivisionError"), ("TASKS = {'classify': 1}", "declares 'classify'"),
     ("raise SystemExit(3)", "SystemExit: 3")],
)  # fmt: skip
def test_a_broken_package_is_left_out_with_a_warning(fresh, tmp_path, text, words):
    (tmp_path / "zz_acme.py").write_text(text)
    info = tmp_path / "zz_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zz_acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[snellen.tasks]\nsorting = zz_acme\n")
    fresh.syspath_prepend(str(tmp_path))
    fresh.delitem(sys.modules, "zz_acme", raising=False)
    with pytest.warns(LeftOut, match=rf"package zz_acme 1\.0 .*is left out.*{words}.*uninstall"):
        tasks = registry.collect("snellen.tasks", "TASKS")
    assert "classify" in tasks
    assert not isinstance(tasks["classify"], int)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownName, match="no 'clasify' in tasks; did you mean classify"):
        registry.get("snellen.tasks", "TASKS", "clasify")
