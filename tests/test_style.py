"""The indicators count what they say: each planted fault moves its row, and none stops the tool."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import source, style

REPOSITORY = Path(__file__).resolve().parents[1]
GOOD = '''"""Good."""


def double(x: int) -> int:
    """x -> 2x.

    >>> double(2)
    4
    """
    return 2 * x
'''


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Measure one file, and return the rows by the first words of their indicator."""

    def rows(text: str, name: str = "core/a.py") -> dict[str, style.Row]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(style, "ROOT", tmp_path)
        files = source.read(tmp_path)
        found = [row for measured in style.MEASURES for row in measured(files)]
        return {row.indicator: row for row in found}

    return rows


def missed(rows: dict[str, style.Row]) -> set[str]:
    about_nothing = {"code lines of the ResNet family", "code lines a check, median"}
    return {name for name, row in rows.items() if not row.reached} - about_nothing


def test_a_good_file_reaches_all_goals(measure):
    assert missed(measure(GOOD)) == set()


BODY = "\n".join(f"    y = [{'x, ' * (n % 7)}{n}]" for n in range(70))
NINE = "\n".join(f"    y{n} = {n}" for n in range(9))
FAULTS = {
    "functions over 60 lines": f'def f(x: int) -> None:\n    """F."""\n{BODY}\n',
    "duplicate lines": f"def _f() -> None:\n{NINE}\n\n\ndef _g() -> None:\n{NINE}\n",
    "public names documented": "def f() -> None: ...\n",
    "public names in an executed example": 'def f() -> None:\n    """F."""\n',
    "typed signatures": "def _f(x): return x\n",
    "arguments, p90 / max": f"def _f({', '.join(f'a{n}: int' for n in range(9))}) -> None: ...\n",
    "branches, p90 / max": "def _f(x: int) -> None:\n" + "    assert x\n" * 6,
    "tokens a code line, mean": "x = [" + "1, " * 30 + "]\n",
    "import cycles; wrong directions": "from ..train import loop\n",
    "layers whose docstring states shapes": "class A(nn.Module):\n    def forward(self, x): ...\n",
    "checks with all their parts": "class A(Check):\n    id = 'a'\n",
}


@pytest.mark.parametrize("indicator", FAULTS)
def test_each_fault_is_counted(measure, indicator):
    name = "doctor/checks/a.py" if "checks" in indicator else "core/a.py"
    assert indicator in missed(measure(FAULTS[indicator], name))


def test_a_list_that_must_be_edited_is_counted(measure, tmp_path):
    measure("from ..tasks.sort import TASKS\n", "train/names.py")
    row = measure("TASKS = {}\n", "tasks/sort.py")[
        "files touched by a new architecture / check / task"
    ]
    assert (row.measured, row.worst) == ("1/1/2", ("train.names imports tasks.sort",))


def test_the_script_prints_the_table_and_exits_0():
    done = subprocess.run([sys.executable, "-I", REPOSITORY / "tools" / "style.py"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.splitlines()[0].split() == ["indicator", "goal", "measured"]
    assert "goals reached" in done.stdout


CLOCK = r"(perf_counter|monotonic|_time)\(\) - |getrusag[e]|timeout=(\d{1,2}|[12]\d\d)\b"


def test_no_test_measures_time():
    """On a slow machine it would fail: times are for bench/, and a time-out is five minutes."""
    tests = Path(__file__).parent.rglob("*.py")
    found = [file.name for file in tests if re.search(CLOCK, file.read_text(encoding="utf-8"))]
    assert found == []
