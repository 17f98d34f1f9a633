"""Who may import whom. The story that the folders tell is only true while this passes."""

import sys
from pathlib import Path

import pytest

from tools import imports

ROOT = Path(__file__).resolve().parents[1] / "snellen"


def test_rooms_import_only_downwards():
    assert imports.wrong(ROOT) == []


def test_no_module_needs_itself():
    assert imports.cycles(ROOT) == []


def test_every_room_has_its_place_in_the_table():
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms <= imports.TABLE.keys() | imports.FREE


@pytest.mark.parametrize(
    ("room", "more"),
    [("byhand", {"numpy"}), ("doctor", {"numpy", "torch", "rich"}), ("models", {"torch"})],
)
def test_what_a_room_takes_from_outside(room, more):
    assert imports.foreign(ROOT, room) - set(sys.stdlib_module_names) <= more


def plant(folder: Path, **files: str) -> Path:
    """A package of that text: a__b="..." is the file a/b.py."""
    root = folder / "snellen"
    for name, text in {"__init__": "", **files}.items():
        path = root / (name.replace("__", "/") if name != "__init__" else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.with_suffix(".py").write_text(text)
    return root


LOOP = {"train__loop": "def run(): ...\n"}


@pytest.mark.parametrize(
    "text",
    [
        "from ..train.loop import run",
        "from ..train import loop",
        "from .. import train",
        "import snellen.train.loop",
        "import snellen.train.loop as loop",
        "from snellen.train.loop import run",
        "from snellen.train import loop",
        "from snellen import train",
        "import snellen as sn",
        "def look():\n    from ..train.loop import run",
        "def look():\n    import snellen.train.loop",
        "class A:\n    def look(self):\n        from .. import train",
        "try:\n    from ..train import loop\nexcept ImportError:\n    pass",
        "if True:\n    from ..train import loop",
        "with open('x'):\n    from ..train import loop",
        "look = lambda: __import__('os')\nfrom ..train import absent",
    ],
)
def test_each_way_to_break_the_direction_is_caught(tmp_path, text):
    deeper = text.replace("from ..", "from ...")
    root = plant(tmp_path, doctor__look=text, doctor__checks__look=deeper, **LOOP)
    found = imports.wrong(root)
    assert [line.partition(":")[0] for line in found] == ["doctor/checks/look.py", "doctor/look.py"]
    assert all("imports train" in line or line.endswith("imports __init__") for line in found)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("train__more", "from ..core.errors import x\nfrom ..nn import y\nfrom ..version import z"),
        ("models__resnet", "from ..core import registry"),
        ("serve__predict", "from ..train.checkpoint import load\nfrom ..data import sample"),
        ("cli__train", "from ..studio import page\nfrom .. import api"),
        ("doctor__look", "if TYPE_CHECKING:\n    from ..train import loop"),
        ("doctor__look", "import trainer, snellenx\nfrom . import train\nfrom .train import x"),
    ],
)
def test_what_the_table_allows_is_let_be(tmp_path, file, text):
    assert imports.wrong(plant(tmp_path, **{file: text}, train__checkpoint="", **LOOP)) == []


@pytest.mark.parametrize(
    ("file", "text", "target"),
    [
        ("serve__predict", "from ..train.loop import run", "train.loop"),
        ("serve__predict", "from ..optim import build", "optim.build"),
        ("train__checkpoint", "from .loop import run", "train.loop"),
        ("train__checkpoint", "from ..tasks import task", "tasks.task"),
        ("optim__build", "from ..nn import count", "nn.count"),
        ("byhand__conv", "from ..core import errors", "core.errors"),
        ("garage__car", "from ..core import errors", "core.errors"),
        ("__init__", "from .core import registry", "core.registry"),
        ("__init__", "def late():\n    from .api import train", "api.train"),
    ],
)
def test_the_finer_rows_of_the_table(tmp_path, file, text, target):
    found = imports.wrong(plant(tmp_path, **{**LOOP, file: text}))
    assert [line.partition(" imports ")[2] for line in found] == [target]


def test_cycles_are_found_and_late_imports_break_them(tmp_path):
    chain = {"core__a": "from . import b", "core__b": "from .c import x"}
    root = plant(tmp_path / "one", **chain, core__c="import snellen.core.a")
    assert imports.cycles(root) == [["core.a", "core.b", "core.c"]]
    root = plant(tmp_path / "two", **chain, core__c="def f():\n    import snellen.core.a")
    assert imports.cycles(root) == []
