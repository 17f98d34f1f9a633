"""The pages cannot lie: every block of Python and every command on them is run here.

A `text` block right under a `python` block is what that prints; in a `console` block `$` begins a
command, and what follows is what it prints. `...` stands for anything, and numbers may differ, but
for those that a page's Python prints.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Ended, run_cli

from tools import docs

ROOT = Path(__file__).resolve().parents[1]
PAGES = docs.pages()
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
DROPPED_IN = re.compile(r"# ([\w/]+\.py)\n")  # the first line of a file for SNELLEN_PATH


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the block of output that stands right under it."""

    kind: str
    text: str
    output: str | None = None


def blocks(page: str) -> list[Block]:
    found = list(FENCE.finditer(page))
    made = []
    for i, fence in enumerate(found):
        under = found[i + 1] if i + 1 < len(found) else None
        near = under and under[1] == "text" and not page[fence.end() : under.start()].strip()
        made.append(Block(fence[1], fence[2], under[2] if near else None))
    return made


def commands(text: str) -> list[tuple[str, str, int]]:
    """A console block -> (command, what it prints, exit code)."""
    made = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        command, _, code = line.partition("# exit code ")
        made.append((command.strip(), output, int(code or 0)))
    return made


def matches(shown: str, real: str, exact: bool = False) -> bool:
    """Whether `real` is what the page shows; how lines are wrapped does not count."""

    def plain(text: str) -> str:
        return " ".join((text if exact else NUMBER.sub("#", text)).split())

    parts = [re.escape(plain(part)) for part in shown.split("...")]
    return re.fullmatch(r"\s*.*?\s*".join(parts), plain(real), re.DOTALL) is not None


def test_matching_tells_output_apart():
    assert matches("a 1.5\n...\nend 2...", "a 7\nb\nc\n end  2.25 s")
    assert not matches("a 1.5\nend", "a 7\nb\nend")
    assert matches("4608 -2.0", "4608 -2.0\n", exact=True)
    assert not matches("4608", "4609", exact=True)


@pytest.fixture
def workshop(tmp_path, monkeypatch) -> Path:
    """The folder that a reader stands in: the examples, and some pictures of two flowers."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    random = np.random.RandomState(0)
    for name, colour in (("daisy", (240, 240, 230)), ("tulip", (200, 40, 60))):
        (tmp_path / "my_pictures" / name).mkdir(parents=True)
        for i in range(1, 41):
            pixels = random.normal(90, 30, (16, 16, 3))
            pixels[4:12, 4:12] = random.normal(colour, 12, (8, 8, 3))
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(tmp_path / "my_pictures" / name / f"{i}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(command: str) -> Ended:
    words = shlex.split(command)
    if words[0] == "snellen":
        return run_cli(*words[1:])
    assert words[0] == "python", f"{command}: only snellen and python are run"
    if words[1] != "-m":
        return run_script(words[1:])
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def run_script(words: list[str]) -> Ended:
    """`python WORDS` in this process, which has torch already."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(words[0], run_name="__main__")
            except SystemExit as ended:
                code = ended.code or 0
    for name, found in list(sys.modules.items()):  # an example's own are no part of what follows
        if Path.cwd() in Path(getattr(found, "__file__", None) or "/").parents:
            del sys.modules[name]
    return Ended(code, out.getvalue(), err.getvalue())


def run_page(page: Path) -> str:
    """Run all of a page in order; returns all that it printed."""
    names: dict[str, object] = {"__name__": "__main__"}
    said = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.kind == "console":
            for command, shown, code in commands(block.text):
                ended = run_command(command)
                assert ended.code == code, f"{command}\n{ended.out}{ended.err}"
                assert not shown or matches(shown, ended.out + ended.err), f"{command}: {ended}"
                said += ended.out
        elif block.kind == "python" and not DROPPED_IN.match(block.text):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, str(page), "exec", dont_inherit=True), names)
            exact = page.name != "README.md"  # it shows the doctor's numbers, machines differ
            assert block.output is None or matches(block.output, out.getvalue(), exact), (
                f"{block.text}\nprinted\n{out.getvalue()}"
            )
            said += out.getvalue()
    return said


@pytest.mark.parametrize("name", [n for n in NAMES if n != "README.md"])
def test_page_does_as_it_says(name, workshop):
    run_page(ROOT / name)


def test_readme_does_as_it_says_and_the_doctor_names_the_planted_picture(workshop):
    said = run_page(ROOT / "README.md")
    (planted,) = re.findall(r"images\[(\d+)\] = 0.0", Path("examples/plain_script.py").read_text())
    assert re.search(rf"1\. error data-nonfinite .*\n.*item {planted}\b", said)
    assert re.search(rf"samples +train {planted}\n", said)
    assert f"train {planted}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_catalogue_parts_are_what_the_code_says(name):
    page = (ROOT / name).read_text(encoding="utf-8")
    assert docs.fresh(page) == page, f"{name} is stale: run `make docs` and commit what it wrote"


def test_picture_of_the_networks_is_what_the_code_says():
    assert docs.PICTURE.read_text(encoding="utf-8") == docs.models_plot.svg(), "run `make docs`"


def test_every_catalogue_part_stands_on_a_page():
    found = {match["name"] for page in PAGES for match in docs.BLOCK.finditer(page.read_text())}
    assert found == set(docs.BLOCKS)


def heading_anchors(page: str) -> set[str]:
    """The anchors that a page's headings get: lower case, blanks to dashes."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for is_image, target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?:", target):
            assert not is_image, f"{target}: pictures come from the repository"
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        assert goal.exists(), f"{name} links to {target}"
        assert goal.is_relative_to(ROOT)
        if anchor:
            assert anchor in heading_anchors(goal.read_text(encoding="utf-8")), target


def test_every_page_is_reached_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / t.partition("#")[0]).resolve() for _, t in LINK.findall(index)}
    assert {page for page in PAGES if page.parent.name == "docs"} - linked <= {
        ROOT / "docs" / "index.md"
    }


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_are_not_run_name_things_that_are_there(name):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in blocks((ROOT / name).read_text(encoding="utf-8")):
        for line in block.text.splitlines() if block.kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[0] == "make":
                assert set(words[1:]) <= targets, line
            elif words[0] == "python":
                assert (ROOT / words[1]).is_file(), line
            else:
                assert words[:2] == ["pip", "install"], line


def test_readme_has_the_two_commands_on_lines_of_their_own():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines.count("make demo") == lines.count("make test") == 1


def dropped_in(folder: Path) -> list[str]:
    """Write the example files of CONTRIBUTING under `folder`; returns their names."""
    names = []
    for block in blocks((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        if block.kind == "python" and (name := DROPPED_IN.match(block.text)):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text[name.end() :], encoding="utf-8")
            names.append(name[1])
    return names


def test_examples_of_contributing_pass_the_contract_tests(tmp_path):
    """Dropped in as they stand there, under the tests that it names, and formatted as ours."""
    assert len(dropped_in(tmp_path)) == 5
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    runs = re.findall(r"`SNELLEN_PATH=workshop python -m pytest (\S+) -k ([\w-]+)`", page)
    assert len(runs) == 5
    tests, words = [test for test, _ in runs], " or ".join(word for _, word in runs)
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*pytest_here, *tests, "-k", words],
        env={**os.environ, "SNELLEN_PATH": str(tmp_path)}, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    passed = [line for line in done.stdout.splitlines() if line.startswith("PASSED")]
    for test, word in runs:
        assert sum(test in line and word in line for line in passed) >= 3, (test, word)


def test_examples_of_contributing_are_written_as_our_own_code_is(tmp_path):
    dropped_in(tmp_path)
    ruff, config = [sys.executable, "-m", "ruff"], ["--config", str(ROOT / "pyproject.toml")]
    for words in (["format", "--check"], ["check"]):
        done = subprocess.run([*ruff, *words, *config, str(tmp_path)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_task_of_contributing_trains(tmp_path, workshop):
    dropped_in(tmp_path / "workshop")
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"`SNELLEN_PATH=workshop snellen (train [^`]+)`", page)
    done = subprocess.run([sys.executable, "-m", "snellen", *shlex.split(words)],
                          env={**os.environ, "SNELLEN_PATH": "workshop"},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (workshop / done.stdout.splitlines()[-1] / "report.html").is_file()
